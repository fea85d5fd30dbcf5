"""Readers of texts, and of pairs of a text and its target."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from ...data import DataFileError, read_json_rows, read_lines, read_table
from ...data.text_files import is_header

# Usual keys of source and target in data sets.
KEYS = (
    ("source", "target"),
    ("content", "title"),  # CSL, THUCNews
    ("abst", "title"),  # CSL of CLUE
    ("text", "title"),
    ("text", "summary"),  # LCSTS
    ("short_text", "summary"),
    ("article", "summary"),
    ("document", "summary"),
    ("input", "output"),
)


class TextPair(NamedTuple):
    """A text, and its target."""

    source: str
    target: str


def read_text_pairs(
    path: str | os.PathLike,
    columns: tuple[int, int] = (0, 1),
    keys: tuple[str, str] | None = None,
    encoding: str | None = None,
) -> list[TextPair]:
    """Read pairs of texts from a table or from JSON rows.

    Args:
        path: `*.tsv`, `*.csv` or text with tabs, with or without a header; or `*.json` or
            `*.jsonl`, objects one a line or in a list.
        columns: of a table, those of source and target; (1, 0) for `title<TAB>text`.
        keys: of JSON objects, those of source and target; None: the first of `KEYS` that the
            first object has.
        encoding: of the file; None: UTF-8.

    Raises:
        DataFileError: a row without one of them, or with an empty source; names file and line.
    """
    suffixes = os.fspath(path).lower().split(".")[1:]
    if "json" in suffixes or "jsonl" in suffixes:
        return _json_pairs(path, keys, encoding)
    table = read_table(path, encoding)
    if table and is_header(table[0][1]):
        table = table[1:]
    pairs = []
    for line, row in table:
        if len(row) <= max(columns) or not row[columns[0]].strip():
            raise DataFileError(
                f"{path}, line {line}: expected a text in column {columns[0]} and its target in "
                f"column {columns[1]}, not {str(row)[:100]}."
            )
        pairs.append(TextPair(row[columns[0]].strip(), row[columns[1]].strip()))
    return _some(pairs, path)


def _json_pairs(path: Any, keys: Sequence[str] | None, encoding: str | None) -> list[TextPair]:
    pairs = []
    for where, row in read_json_rows(path, encoding):
        known = [pair for pair in KEYS if set(pair) <= set(row)]
        if keys is None and not known:
            raise DataFileError(
                f"{where}: which of {', '.join(map(str, row))[:200]} are source and target? Give "
                "keys=(source, target)."
            )
        keys = keys or known[0]
        texts: list[Any] = [row.get(key) for key in keys]
        if not all(isinstance(text, str) for text in texts) or not texts[0].strip():
            raise DataFileError(
                f"{where}: expected texts under {keys[0]!r} and {keys[1]!r}, not {str(row)[:100]}."
            )
        pairs.append(TextPair(texts[0].strip(), texts[1].strip()))
    return _some(pairs, path)


def read_texts(path: str | os.PathLike, encoding: str | None = None) -> list[str]:
    """Read texts, one per line; of a line with tabs only the part before the first tab.

    Raises:
        DataFileError: no such file, or no text in it.
    """
    lines = read_lines(path, encoding)
    return _some([line.split("\t")[0].strip() for line in lines if line.strip()], path)


def _some(rows: list, path: Any) -> list:
    if not rows:
        raise DataFileError(f"{path} has no rows.")
    return rows

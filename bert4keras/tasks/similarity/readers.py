"""Readers of pairs of texts with a label or a score."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...data import DataFileError, read_json_rows, read_table
from ...data.text_files import is_header

FIRST = ("sentence1", "text1", "text_a", "first", "question1", "query", "sent1", "premise")
SECOND = ("sentence2", "text2", "text_b", "second", "question2", "title", "sent2", "hypothesis")
_SCORE = ("score", "label", "similarity", "similarity_score", "relatedness_score", "is_duplicate")


class ScoredPair(NamedTuple):
    """Two texts and their similarity: a grade, or 0 or 1."""

    texts: tuple[str, str]
    score: float


def read_scored_pairs(
    path: str | os.PathLike,
    columns: Sequence[int] | None = None,
    encoding: str | None = None,
) -> list[ScoredPair]:
    """Read pairs of texts with a number.

    Read are JSON lines, or one JSON array, of objects with keys such as `sentence1`, `sentence2`
    and `label` (AFQMC); and tables of any kind that `read_table` reads: three columns first,
    second, label (LCQMC); with a header that names them in any order and among others (STS-B of
    GLUE); or any columns by `columns` (STS-B of its authors: 5, 6, 4).

    Args:
        path: `*.json`, `*.jsonl`, `*.tsv`, `*.csv` or `*.txt`, also packed as `.gz` or `.xz`.
        columns: columns of the first text, the second text and the number, from 0.
        encoding: UTF-8 if None; "gb18030" for many old Chinese files.

    Raises:
        DataFileError: the file is missing or empty, or a row has another shape; names the line.
    """
    name = os.fspath(path).lower().removesuffix(".gz").removesuffix(".xz")
    if name.endswith((".json", ".jsonl")):
        pairs = [_of_object(where, row) for where, row in read_json_rows(path, encoding)]
    else:
        pairs = _of_table(path, read_table(path, encoding), columns)
    if not pairs:
        raise DataFileError.at(path, None, "it has no pairs")
    return pairs


def _of_object(where: str, row: Mapping[str, Any]) -> ScoredPair:
    found: list[Any] = [
        next((key for key in keys if key in row), None) for keys in (FIRST, SECOND, _SCORE)
    ]
    if None in found:
        wanted = (FIRST, SECOND, _SCORE)[found.index(None)]
        raise DataFileError(f"{where}: none of the keys {', '.join(wanted)}, but {list(row)}")
    first, second, score = (row[key] for key in found)
    return _pair(where, first, second, score)


def _of_table(
    path: str | os.PathLike, table: list[tuple[int, list[str]]], columns: Sequence[int] | None
) -> list[ScoredPair]:
    if not table:
        return []
    names = table[0][1]
    named = _named_columns(names) if columns is None else None
    exact = columns is None and named is None  # without names there must be three columns
    columns = columns or named or (0, 1, 2)
    header = named is not None or is_header(names[k] for k in columns if k < len(names))
    pairs = []
    for number, (line, row) in enumerate(table):
        where = f"{os.fspath(path)}, line {line}"
        if max(columns) >= len(row) or (exact and len(row) != 3):
            raise DataFileError(
                f"{where}: {len(row)} columns, but texts and number must be in columns "
                f"{tuple(columns)}: {row!r:.100}"
            )
        first, second, score = (row[column].strip() for column in columns)
        if number == 0 and header and _number(score) is None:
            continue
        pairs.append(_pair(where, first, second, score))
    return pairs


def _named_columns(names: Sequence[str]) -> tuple[int, ...] | None:
    """Return the columns of a header by their names; None if it does not name all three."""
    cleaned = [name.strip().lower().removeprefix("#") for name in names]
    found: list[Any] = [
        next((cleaned.index(key) for key in keys if key in cleaned), None)
        for keys in (FIRST, SECOND, _SCORE)
    ]
    return None if None in found else tuple(found)


def _pair(where: str, first: Any, second: Any, score: Any) -> ScoredPair:
    texts = [first, second]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise DataFileError(f"{where}: an empty text, or none, in {texts!r:.100}")
    number = _number(score)
    if number is None:
        raise DataFileError(f"{where}: {score!r:.40} is no number")
    return ScoredPair((first, second), number)


def _number(value: Any) -> float | None:
    """Return a finite number, or None; Python's "1_000", "nan" and True are none."""
    if isinstance(value, str):
        plain = re.fullmatch(r"[-+]?[\d.]{1,30}([eE][-+]?\d{1,3})?", value)
        value = value if plain else None
    if value is None or isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None

"""Readers of texts with entities or words: JSON, columns, CoNLL-U, words between blanks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..._folding import fold_spelling
from ...data import DataFileError, read_json_rows, read_lines, read_text
from ..labelled_span import LabelledSpan
from .columns import read_columns
from .entity import TaggedText

_WORD_WITH_TAG = re.compile("./[A-Za-z]+")


def read_entities(
    path: str | Path, scheme: str | None = None, encoding: str | None = None
) -> list[TaggedText]:
    """Read texts and their entities from JSON (one object per line, or an array) or columns.

    JSON: {"text": ..., "entities": [[start, end, label], ...]}, end exclusive; or like CLUENER,
    {"text": ..., "label": {label: {name: [[start, end], ...]}}}, end inclusive. Columns: see
    `read_columns`.

    Args:
        path: the file, possibly compressed.
        scheme: scheme of the tags in columns; None finds it.
        encoding: UTF-8 if None.

    Raises:
        DataFileError: a line that cannot be read; the message names file and line.
    """
    if re.match(r'\s*(\[\s*)?\{\s*["}]', read_text(path, encoding)):
        found = [_json_sentence(where, row) for where, row in read_json_rows(path, encoding)]
    else:
        found = read_columns(path, scheme, encoding)
    if not found:
        raise DataFileError.at(path, None, "it has no sentences")
    _check_spelling(path, (label for row in found for _, _, label in row.entities))
    return found


def read_segmented(path: str | Path, encoding: str | None = None) -> list[TaggedText]:
    """Read lines of words separated by blanks, like SIGHAN; each word is an entity labelled "".

    Args:
        path: the file, possibly compressed.
        encoding: UTF-8 if None; SIGHAN's own files are GB18030 or UTF-8.

    Returns:
        The texts, without the blanks.

    Raises:
        DataFileError: there are no words, no blanks between them, or tags after them.
    """
    rows = [words for line in read_lines(path, encoding) if (words := line.split())]
    words = [word for row in rows for word in row]
    if not words:
        raise DataFileError.at(path, None, "it has no words")
    if len(words) == len(rows):
        raise DataFileError.at(path, None, "it has no blanks between words")
    if 2 * sum(bool(_WORD_WITH_TAG.search(word[-8:])) for word in words) > len(words):
        raise DataFileError.at(path, None, "it has tags after its words, as in 我/r: remove them")
    found = []
    for row in rows:
        places, end = [], 0
        for word in row:
            places.append(LabelledSpan(end, end + len(word), ""))
            end += len(word)
        found.append(TaggedText("".join(row), places))
    return found


def read_conllu(
    path: str | Path, column: str | None = "UPOS", encoding: str | None = None
) -> list[TaggedText]:
    """Read CoNLL-U: sentences with the part of speech of each word.

    Each word is an entity, and `words` is set too. The text is the words with blanks between them,
    except after `SpaceAfter=No`. A multiword token ("zum", 1-2) is one word, with the label of its
    first syntactic word; empty nodes (8.1) are skipped.

    Args:
        path: the file, possibly compressed.
        column: "UPOS" or "XPOS", or None: words without labels, for `WordSegmenter`.
        encoding: UTF-8 if None.

    Raises:
        DataFileError: a line that is not CoNLL-U; the message names it.
        ValueError: another column.

    Source: https://universaldependencies.org/format.html.
    """
    if column not in ("UPOS", "XPOS", None):
        raise ValueError(f'column={column!r} must be "UPOS", "XPOS" or None.')
    place = {"UPOS": 3, "XPOS": 4, None: None}[column]
    found, rows, covered = [], [], 0
    for number, line in enumerate([*read_lines(path, encoding), ""], 1):
        if not line.strip():
            if rows:
                found.append(_conllu_sentence(rows))
            rows, covered = [], 0
        elif not line.startswith("#"):
            cells = line.split("\t")
            if len(cells) != 10 or not re.fullmatch(r"\d+([-.]\d+)?", cells[0]) or not cells[1]:
                reason = f"expected ten columns separated by tabs, not {line[:60]!r}"
                raise DataFileError.at(path, number, reason)
            label = "" if place is None else cells[place]
            if "." in cells[0]:
                continue
            if "-" in cells[0]:
                rows.append([cells[1], None, cells[9]])
                covered = int(cells[0].split("-")[1])
            elif int(cells[0]) > covered:
                rows.append([cells[1], label, cells[9]])
            elif rows[-1][1] is None:
                rows[-1][1] = label
    if not found:
        raise DataFileError.at(path, None, "it has no sentences")
    return found


def _conllu_sentence(rows: list[list[Any]]) -> TaggedText:
    """Build a sentence from written tokens, each (form, label, MISC)."""
    text, entities = "", []
    for form, label, misc in rows:
        entities.append(LabelledSpan(len(text), len(text) + len(form), label or ""))
        text += form if "SpaceAfter=No" in misc.split("|") else f"{form} "
    return TaggedText(text.rstrip(), entities, [(e.start, e.end) for e in entities])


def _json_sentence(where: str, row: dict[str, Any]) -> TaggedText:
    """Build a sentence from a JSON object; `where` names file and line in errors."""
    try:
        text, names = row["text"], {}
        if not isinstance(text, str):
            raise ValueError("text is not a string")
        if "entities" in row:
            entities = [LabelledSpan(*entity) for entity in row["entities"]]
        else:
            for label, found in row["label"].items():
                for name, places in found.items():
                    names |= {LabelledSpan(s, e + 1, label): name for s, e in places}
            entities = list(names)
        for entity in entities:
            start, end, label = entity
            if type(start) is not int or type(end) is not int or not isinstance(label, str):
                raise ValueError(f"{entity} is not two integers and a string")
            if not (0 <= start < end <= len(text)):
                raise ValueError(f"an entity is not within the text: {entity}")
            if names.get(entity, text[start:end]) != text[start:end]:
                raise ValueError(f"the text at {entity} is not {names[entity]!r}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataFileError(f"{where}: {str(row)[:60]!r} cannot be read: {error}") from None
    return TaggedText(text, sorted(entities))


def _check_spelling(path: str | Path, labels: Iterable[str]) -> None:
    """Refuse labels that differ only in case or blanks: probably one label, misspelt."""
    seen: dict[str, str] = {}
    for label in labels:
        known = seen.setdefault(fold_spelling(label), label)
        if known != label:
            reason = f"the label {label!r} is also written {known!r}; use one of them"
            raise DataFileError.at(path, None, reason)

"""Files of texts with entities or words: JSON, columns, CoNLL-U, and words between blanks."""

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
    """Read texts and their entities, of JSON (one object a line, or an array) or of columns.

    JSON: {"text": ..., "entities": [[start, end, label], ...]}, the end excluded; or as CLUENER
    writes it, {"text": ..., "label": {label: {name: [[start, end], ...]}}}, the end included.
    Columns: as of `read_columns`.

    Args:
        path: the file, packed or not.
        scheme: of the tags in columns; found out if None.
        encoding: UTF-8 if None.

    Raises:
        DataFileError: names the file and the line that cannot be read.
    """
    if re.match(r'\s*(\[\s*)?\{\s*["}]', read_text(path, encoding)):
        found = [_json_sentence(where, row) for where, row in read_json_rows(path, encoding)]
    else:
        found = read_columns(path, scheme, encoding)
    if not found:
        raise DataFileError.at(path, None, "it has no sentence")
    _check_spelling(path, (label for row in found for _, _, label in row.entities))
    return found


def read_segmented(path: str | Path, encoding: str | None = None) -> list[TaggedText]:
    """Read lines of words between blanks, as of SIGHAN; a word is an entity of the label "".

    Args:
        path: the file, packed or not.
        encoding: UTF-8 if None; SIGHAN's own files are GB18030 or UTF-8.

    Returns:
        The texts, without the blanks.

    Raises:
        DataFileError: it has no words, no blanks between them, or tags behind them.
    """
    rows = [words for line in read_lines(path, encoding) if (words := line.split())]
    words = [word for row in rows for word in row]
    if not words:
        raise DataFileError.at(path, None, "it has no words")
    if len(words) == len(rows):
        raise DataFileError.at(path, None, "it has no blanks between words")
    if 2 * sum(bool(_WORD_WITH_TAG.search(word[-8:])) for word in words) > len(words):
        raise DataFileError.at(
            path, None, "it has tags behind its words, as in 我/r: take them off"
        )
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

    Each word is an entity, and the words are given too. Text and blanks are those of the words and
    of `SpaceAfter=No`. Of a multiword token ("zum", 1-2) the written token is one word, with the
    label of the first of its syntactic words; empty nodes (8.1) are left out.

    Args:
        path: the file, packed or not.
        column: "UPOS" or "XPOS", or None: words without labels, for `WordSegmenter`.
        encoding: UTF-8 if None.

    Raises:
        DataFileError: names the line that is none of CoNLL-U.
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
                reason = f"expected ten columns parted by tabs, not {line[:60]!r}"
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
        raise DataFileError.at(path, None, "it has no sentence")
    return found


def _conllu_sentence(rows: list[list[Any]]) -> TaggedText:
    """A sentence of written tokens, each (form, label, MISC)."""
    text, entities = "", []
    for form, label, misc in rows:
        entities.append(LabelledSpan(len(text), len(text) + len(form), label or ""))
        text += form if "SpaceAfter=No" in misc.split("|") else f"{form} "
    return TaggedText(text.rstrip(), entities, [(e.start, e.end) for e in entities])


def _json_sentence(where: str, row: dict[str, Any]) -> TaggedText:
    """The sentence of an object; `where` it stands is for the error."""
    try:
        text, names = row["text"], {}
        if not isinstance(text, str):
            raise ValueError("text is no string")
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
                raise ValueError(f"{entity} is not two whole numbers and a text")
            if not (0 <= start < end <= len(text)):
                raise ValueError(f"an entity is not within the text: {entity}")
            if names.get(entity, text[start:end]) != text[start:end]:
                raise ValueError(f"{names[entity]!r} is not what stands at {entity}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataFileError(f"{where}: {str(row)[:60]!r} is no such row: {error}") from None
    return TaggedText(text, sorted(entities))


def _check_spelling(path: str | Path, labels: Iterable[str]) -> None:
    """Refuse labels that differ in case or blanks only: they are one, misspelt."""
    seen: dict[str, str] = {}
    for label in labels:
        known = seen.setdefault(fold_spelling(label), label)
        if known != label:
            reason = f"the label {label!r} is also written {known!r}; use one of them"
            raise DataFileError.at(path, None, reason)

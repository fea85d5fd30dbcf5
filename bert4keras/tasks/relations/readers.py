"""Readers of texts with triples: DuIE, and WebNLG and NYT in the format of CasRel."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from typing import NamedTuple

from ..._folding import fold_spelling
from ...data import DataFileError, read_json_rows

Strings = tuple[str, str, str]


class RelationSample(NamedTuple):
    """Text and its triples (subject, predicate, object), as strings of the text."""

    text: str
    triples: list[Strings]


def read_relations(
    path: str | os.PathLike, encoding: str | None = None, check_spelling: bool = True
) -> list[RelationSample]:
    """Read texts with triples from JSON lines or one array, possibly compressed.

    WebNLG and NYT of CasRel: `{"text", "triple_list": [[subject, predicate, object]]}`, with full
    names or, in the "star" files, only their last word.
    DuIE: `{"text", "spo_list": [{"subject", "predicate", "object"}]}`. In its second version an
    object is `{slot: value}`: the slot `@value` is the object of the predicate, and every other
    slot is the object of `predicate_slot`. Empty values are skipped.

    Args:
        path: the file.
        encoding: UTF-8 if None.
        check_spelling: refuse predicates that differ only in case or blanks.

    Raises:
        DataFileError: a row that cannot be read; the message names file and line.
    """
    samples, spellings = [], {}
    for where, row in read_json_rows(path, encoding):
        try:
            samples.append(RelationSample(row["text"], list(_triples(row))))
            strings = [samples[-1].text, *itertools.chain(*samples[-1].triples)]
            if not all(isinstance(string, str) for string in strings):
                raise TypeError
        except (KeyError, TypeError, ValueError, AttributeError):
            raise DataFileError(
                f"{where}: expected text and triple_list or spo_list, not "
                f"{json.dumps(row, ensure_ascii=False)[:100]}"
            ) from None
        for _, predicate, _ in samples[-1].triples if check_spelling else ():
            known = spellings.setdefault(fold_spelling(predicate), predicate)
            if known != predicate:
                raise DataFileError(
                    f"{where}: the predicate {predicate!r} is also written {known!r}; use one of "
                    "them, or read with check_spelling=False"
                )
    if not samples:
        raise DataFileError.at(path, None, "it has no rows")
    return samples


def _triples(row: dict) -> Iterator[Strings]:
    """Yield the triples of a row, in either format."""
    if "triple_list" in row:
        for subject, predicate, target in row["triple_list"]:
            yield subject, predicate, target
        return
    for item in row["spo_list"]:
        slots = item["object"]
        for slot, value in (slots if isinstance(slots, dict) else {"@value": slots}).items():
            predicate = item["predicate"] + (f"_{slot}" if slot != "@value" else "")
            if value:
                yield item["subject"], predicate, value

"""Readers of gold trees."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ...data import DataFileError, read_lines
from ...tokenizers.spans import Span
from ..words import words as split_words
from .answers import Bracketing


def read_treebank(path: str | os.PathLike) -> list[tuple[str, Bracketing]]:
    """Read the constituents of a dependency treebank in CoNLL-U, without punctuation.

    A constituent is the subtree of a word (the word and all that depend on it) if its words are
    neighbours. Words with the part of speech PUNCT or SYM are left out. Of a multi-word token
    ("2-3 don't") each word begins where it is written in the token, if it is.

    Args:
        path: the file.

    Returns:
        Pairs (text, gold constituents), for `SentenceParser.evaluate`.

    Raises:
        DataFileError: a line is not of this format; says which.
    """
    rows: list[tuple[int, list[str]]] = []
    samples = []
    for number, line in enumerate([*read_lines(path), ""], 1):
        if line and not line.startswith("#"):
            cells = line.split("\t")
            if len(cells) != 10:
                raise DataFileError.at(path, number, f"{len(cells)} columns, CoNLL-U has 10")
            rows.append((number, cells))
        elif not line.strip() and rows:
            samples.append(_sample(rows, path))
            rows = []
    return samples


def word_constituents(words: Sequence[str]) -> tuple[str, Bracketing]:
    """Return a segmented Chinese sentence as a text whose constituents are its words.

    The words of the result are characters (and runs of Latin letters or digits), as in the trees of
    a parser that reads Chinese.

    >>> text, gold = word_constituents(["我们", "喜欢", "猫"])
    >>> text, gold.spans
    ('我们喜欢猫', [(0, 2), (2, 4)])
    """
    units: list[Span] = []
    spans, place = [], 0
    for word in words:
        first = len(units)
        for unit in split_words(word):
            units.append((place, place + len(unit)))
            place += len(unit)
        if len(units) - first > 1:
            spans.append((first, len(units)))
    return "".join(words), Bracketing(units, spans)


def _sample(rows: list[tuple[int, list[str]]], path: str | os.PathLike) -> tuple[str, Bracketing]:
    """Return text and constituents of the lines of a sentence."""
    text, places = _join_rows(rows)
    heads: dict[str, str] = {}
    for number, cells in rows:
        if not cells[0].isdigit():
            continue
        if not cells[6].isdigit():
            raise DataFileError.at(path, number, f"the head {cells[6]!r} is no number")
        heads[cells[0]] = cells[6]
    for number, cells in rows:
        if cells[0] in heads and cells[6] != "0" and cells[6] not in heads:
            raise DataFileError.at(path, number, f"the head {cells[6]!r} is no word")
    kept = [c[0] for _, c in rows if c[0] in heads and c[3] not in ("PUNCT", "SYM")]
    subtrees: dict[str, list[int]] = {i: [] for i in heads}
    for index, word in enumerate(kept):
        for ancestor in _ancestors(word, heads):
            subtrees[ancestor].append(index)
    spans = {
        (found[0], found[-1] + 1)
        for found in subtrees.values()
        if len(found) > 1 and found[-1] - found[0] == len(found) - 1
    }
    return text, Bracketing([places[i] for i in kept], sorted(spans, key=lambda s: (s[0], -s[1])))


def _ancestors(word: str, heads: dict[str, str]) -> Iterator[str]:
    """Yield a word, its head, the head of that, ..."""
    seen = set()
    while word in heads and word not in seen:  # a broken file may have a circle
        seen.add(word)
        yield word
        word = heads[word]


def _join_rows(rows: list[tuple[int, list[str]]]) -> tuple[str, dict[str, Span]]:
    """Return the text of a sentence, and the characters of each word by its id."""
    text, places, inside = "", {}, 0
    for _, cells in rows:
        i, form = cells[0], cells[1]
        if "." in i:  # an empty node, which is not written
            continue
        if "-" in i:  # a multi-word token, whose words follow
            start, inside = len(text), int(i.split("-")[1])
            text += form + ("" if "SpaceAfter=No" in cells[9] else " ")
            end = start + len(form)
        elif int(i) <= inside:
            found = text.find(form, start, end)
            start = start if found < 0 else found
            places[i] = (start, end if found < 0 else found + len(form))
            start = places[i][1] if found >= 0 else start
        else:
            places[i] = (len(text), len(text) + len(form))
            text += form + ("" if "SpaceAfter=No" in cells[9] else " ")
    return text.rstrip(), places

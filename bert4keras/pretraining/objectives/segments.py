"""Documents of packed rows, and their division into two segments.

Legend: B rows, L tokens of a row, D documents of all rows. Places are indices in the flattened
rows (B * L).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from ..rows import TokenRows

# Tokens that end a sentence, and the signs with which some vocabularies mark a word's beginning.
_SENTENCE_ENDS = (*"。！？；.!?;…", "．", "｡")
_WORD_MARKS = ("", "##", "▁", "Ġ")


class Documents(NamedTuple):
    """Bounds of the documents of some rows, as places; int64 (D,) each.

    Attributes:
        start, end: bounds of the document; `end` is exclusive, as `last` is.
        first, last: bounds of its text, without the special tokens around it. A document without
            text has `first == last`.
    """

    start: np.ndarray
    end: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @property
    def text_lengths(self) -> np.ndarray:
        """Number of tokens of each text, (D,)."""
        return self.last - self.first


def find_documents(rows: TokenRows) -> Documents:
    """Return the bounds of all documents, row by row."""
    numbers = rows.document_ids
    before = np.pad(numbers[:, :-1], ((0, 0), (1, 0)))
    after = np.pad(numbers[:, 1:], ((0, 0), (0, 1)))
    start = np.flatnonzero((numbers > 0) & (numbers != before))
    end = np.flatnonzero((numbers > 0) & (numbers != after)) + 1
    if not len(start):
        return Documents(start, end, start, end)
    is_text = (rows.word_ids >= 0).ravel()
    place = np.arange(is_text.size)
    first = np.minimum.reduceat(np.where(is_text, place, is_text.size), start)
    last = np.maximum.reduceat(np.where(is_text, place, -1), start) + 1
    first = np.minimum(first, end)
    return Documents(start, end, first, np.maximum(first, np.minimum(last, end)))


def document_numbers(documents: Documents, size: int) -> np.ndarray:
    """Return the index in `documents` of each of `size` places, int64; -1 before the first one."""
    begins = np.zeros(size, "int64")
    begins[documents.start] = 1
    return np.cumsum(begins) - 1


def sentence_end_ids(token_dict: Mapping[str, int]) -> np.ndarray:
    """Return the ids of the tokens that end a sentence, such as "." and "。", int64."""
    spelled = (prefix + mark for prefix in _WORD_MARKS for mark in _SENTENCE_ENDS)
    return np.array(sorted({token_dict[x] for x in spelled if x in token_dict}), "int64")


def _choose_places(
    documents: Documents, candidates: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Choose one of the candidates of each document, all with equal probability.

    Args:
        documents: the documents, in order.
        candidates: bool (B * L), True for places that may be chosen.
        rng: source of randomness.

    Returns:
        The places, int64 (D,); -1 for a document without a candidate.
    """
    if not len(documents.start):
        return np.zeros(0, "int64")
    # The candidate with the largest random key; the others have keys below 0.
    keys = np.where(candidates, rng.random(candidates.size), -1.0)
    largest = np.maximum.reduceat(keys, documents.start)
    number = document_numbers(documents, candidates.size)
    found = np.flatnonzero(candidates & (number >= 0) & (keys == largest[number]))
    places = np.full(len(documents.start), -1, "int64")
    places[number[found]] = found
    return places


def split_places(
    rows: TokenRows, documents: Documents, ends: Iterable[int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the end of a sentence inside each document, or else a word of one token.

    The segments before and behind the place have at least two tokens each.

    Args:
        rows, documents: the rows, and their documents.
        ends: ids of the tokens that end a sentence.
        rng: source of randomness.

    Returns:
        The places, int64 (D,), -1 for a document that is too short; and whether each is the end of
        a sentence, bool (D,).
    """
    ids, words = rows.token_ids.ravel(), rows.word_ids.ravel()
    number, place = document_numbers(documents, ids.size), np.arange(ids.size)
    inside = (number >= 0) & (words >= 0)
    inside &= (place >= documents.first[number] + 2) & (place < documents.last[number] - 3)
    neighbours = np.pad(words, 1, constant_values=-1)
    single = (words != neighbours[:-2]) & (words != neighbours[2:])
    at_end = _choose_places(documents, inside & np.isin(ids, np.asarray([*ends], "int64")), rng)
    anywhere = _choose_places(documents, inside & single, rng)
    return np.where(at_end >= 0, at_end, anywhere), at_end >= 0


class TextRanges(NamedTuple):
    """Places from `start` on, `length` of them, for each document; int64 (D,) each."""

    start: np.ndarray
    length: np.ndarray


def join_segments(
    rows: TokenRows,
    documents: Documents,
    left: TextRanges,
    right: TextRanges,
    divided: np.ndarray,
    sep_id: int,
    pad_id: int,
) -> tuple[TokenRows, np.ndarray]:
    """Make each divided document `special tokens, left, [SEP], right, special tokens`.

    A document that gets shorter is followed by padding; none may get longer.

    Args:
        rows, documents: the rows, and their documents.
        left, right: the texts of the segments, from anywhere in the rows.
        divided: bool (D,); the other documents stay as they are.
        sep_id, pad_id: ids of [SEP] and of padding.

    Returns:
        The new rows, and the segment of each token, int32 (B, L): 1 from `right` on.
    """
    whole = TextRanges(documents.first, documents.text_lengths)
    starts, lengths = np.zeros((2, 5, len(divided)), "int64")
    starts[0], lengths[0] = documents.start, documents.first - documents.start
    starts[1] = np.where(divided, left.start, whole.start)
    lengths[1] = np.where(divided, left.length, whole.length)
    lengths[2] = divided
    starts[3], lengths[3] = right.start, np.where(divided, right.length, 0)
    starts[4], lengths[4] = documents.last, documents.end - documents.last
    pieces, sizes = starts.T.ravel(), lengths.T.ravel()
    source = counting(sizes) + np.repeat(pieces, sizes)
    target = counting(lengths.sum(0)) + np.repeat(documents.start, lengths.sum(0))
    part = np.repeat(np.tile(np.arange(5), len(divided)), sizes)
    split = np.repeat(divided, lengths.sum(0))
    is_sep = part == 2
    ids, numbers, segments = np.zeros((3, rows.token_ids.size), "int32")
    ids[:] = pad_id
    words = np.full(ids.size, -1, "int32")
    ids[target] = np.where(is_sep, sep_id, rows.token_ids.ravel()[source])
    words[target] = np.where(is_sep, -1, rows.word_ids.ravel()[source])
    own = rows.document_ids.ravel()[documents.start]
    numbers[target] = np.repeat(own, lengths.sum(0))
    segments[target] = (part >= 3) & split
    shape = rows.token_ids.shape
    made = TokenRows(ids.reshape(shape), numbers.reshape(shape), words.reshape(shape))
    return made, segments.reshape(shape)


def counting(lengths: np.ndarray) -> np.ndarray:
    """Return 0, 1, ..., n-1 for each n of `lengths`, one after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - lengths, lengths)

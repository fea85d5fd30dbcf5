"""Cutting of a corpus at all places that no strong n-gram spans.

Two neighbouring units are joined if any strong n-gram covers both, so that overlapping ones are
linked: of "abcd" with the strong "abc" and "bcd" nothing is cut. What lies between two cuts is a
segment. A segment is kept as a word if it is itself strong (up to N units), or if each of its
windows of N units is; others were only joined by chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .corpus import CodedCorpus
from .ngrams import NGrams


class _Cut(NamedTuple):
    """A block of a corpus, cut into S segments.

    Attributes:
        numbers: (M,), number of the unit at each position, uint32; 0: a break.
        starts: (S,), where the segments begin.
        lengths: (S,), in units.
        places: (S,), places of segments of up to N units among the n-grams of their length; -1 for
            one that is not strong, or is longer.
        firm: (S,), which of the longer segments have only strong windows.
    """

    numbers: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    places: np.ndarray
    firm: np.ndarray

    def long_words(self) -> tuple[np.ndarray, list[bytes]]:
        """Return the indices of the longer segments that are words, and the bytes of each."""
        chosen = np.flatnonzero(self.firm)
        starts, lengths = self.starts[chosen], self.lengths[chosen]
        pairs = zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
        return chosen, [self.numbers[start:end].tobytes() for start, end in pairs]


@dataclass
class Segments:
    """Counts of the segments of a corpus that are words.

    Attributes:
        total: number of all segments.
        counts: list of arrays for n = 1..N beside `NGrams.keys`: how often an n-gram is a segment;
            0 where it is not strong.
        long: how often each longer segment occurs that is kept; the key is the bytes of its unit
            numbers, uint32.
    """

    total: int
    counts: list[np.ndarray]
    long: Counter[bytes]


def cut_blocks(corpus: CodedCorpus, ngrams: NGrams, strong: list[np.ndarray]) -> Iterator[_Cut]:
    """Cut the blocks of a corpus.

    Args:
        corpus: the corpus whose n-grams were counted or recounted.
        ngrams: the n-grams.
        strong: for each n = 1..N, bools beside `ngrams.keys`.
    """
    strong = [np.append(flags, False) for flags in strong]  # the last one: place -1
    for block in corpus.blocks(ngrams.ranks, "cutting"):
        at, joined = [], np.zeros(len(block), bool)
        for n in range(1, ngrams.order + 1):
            place = ngrams.find(ngrams.at(block, n), n)
            place[~strong[n - 1][place]] = -1
            at.append(place)
            for shift in range(n - 1):  # joined[i]: with unit i + 1
                joined[shift:] |= (place >= 0)[: len(place) - shift]
        starts, lengths = _segments(block, joined)
        places = np.full(len(starts), -1)
        for n in range(1, ngrams.order + 1):
            places[lengths == n] = at[n - 1][starts[lengths == n]]
        windows = np.concatenate([[0], np.cumsum(at[-1] >= 0)])  # strong ones before each position
        last = np.maximum(starts + lengths - ngrams.order + 1, starts)
        firm = (lengths > ngrams.order) & (windows[last] - windows[starts] == last - starts)
        yield _Cut(block.astype("uint32"), starts, lengths, places, firm)


def count_segments(corpus: CodedCorpus, ngrams: NGrams, strong: list[np.ndarray]) -> Segments:
    """Cut a corpus and count the segments that are words; arguments as for `cut_blocks`."""
    sizes = [len(keys) for keys in ngrams.keys]
    found = Segments(0, [np.zeros(size, "int64") for size in sizes], Counter())
    for cut in cut_blocks(corpus, ngrams, strong):
        found.total += len(cut.starts)
        for n, size in enumerate(sizes, 1):
            places = cut.places[(cut.lengths == n) & (cut.places >= 0)]
            found.counts[n - 1] += np.bincount(places, minlength=size)
        found.long.update(cut.long_words()[1])
    return found


def list_words(ngrams: NGrams, segments: Segments, min_count: int) -> list[tuple[int, ...]]:
    """Return the words that occur often enough, as numbers of their units."""
    words = []
    for n, counts in enumerate(segments.counts, 1):
        words += map(tuple, ngrams.unpack(ngrams.keys[n - 1][counts >= min_count], n).tolist())
    long = (key for key, count in segments.long.items() if count >= min_count)
    return words + [tuple(np.frombuffer(key, "uint32").tolist()) for key in long]


def measure_words(
    words: list[tuple[int, ...]], ngrams: NGrams, segments: Segments
) -> tuple[np.ndarray, np.ndarray]:
    """Return the count and the PMI of words that `list_words` found in this or another corpus.

    The PMI of a word of more than N units is the least one of its windows.
    """
    lengths, order = np.array([len(word) for word in words], int), ngrams.order
    counts, firmness = np.zeros(len(words), "int64"), np.zeros(len(words))
    pmi = [ngrams.pmi(n) for n in range(1, order + 1)]
    for length in np.unique(lengths).tolist():
        chosen = np.flatnonzero(lengths == length)
        numbers = np.array([words[i] for i in chosen], "uint32")
        n = min(length, order)
        windows = np.lib.stride_tricks.sliding_window_view(numbers, n, axis=1)
        places = ngrams.find(ngrams.pack(windows).ravel(), n).reshape(len(chosen), -1)
        firmness[chosen] = pmi[n - 1][places].min(1)
        if length <= order:
            counts[chosen] = segments.counts[n - 1][places[:, 0]]
        else:
            counts[chosen] = [segments.long[word.tobytes()] for word in numbers]
    return counts, firmness


def _segments(block: np.ndarray, joined: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts and lengths of the segments between cuts; breaks are in none."""
    unit = block != 0
    begins = unit.copy()
    begins[1:] &= ~joined[:-1]
    starts = np.flatnonzero(begins)
    return starts, np.flatnonzero(unit & ~joined) + 1 - starts

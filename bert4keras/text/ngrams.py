"""Exact counts of all n-grams of a corpus, n = 1..N, by one sort of 64-bit keys.

At each position i of the corpus begins the N-gram u_i .. u_{i+N-1} of units, cut at the first
break. With 64/N bits for a unit it is one integer, the first unit in the highest bits; one that is
cut is filled up with zeros. Sorting these integers brings equal N-grams together, so that their
counts are the lengths of runs. It also sorts all (N-1)-grams, since they are the prefixes of
N-grams: the count of an n-gram is the sum of the counts of those N-grams that begin with it. So one
sort serves all lengths, as in a suffix array cut at N.

Memory is bounded: only the keys whose first unit is in a range of units are collected and sorted at
a time, and the ranges are chosen so that one has at most `MAX_KEYS` keys; a larger corpus is
therefore passed over several times. Nothing is approximate.

A unit that occurs less than min_count times is in no n-gram of that count: it counts as a break.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from .corpus import CodedCorpus
from .units import BREAK

MAX_KEYS = 1 << 25  # keys that are sorted at a time, of 8 bytes
ORDERS = range(2, 5)  # N: fewer than 16 bits for a unit would not be enough for Chinese


class NGrams:
    """The n-grams that a corpus has at least min_count times, n = 1..order, and their counts.

    Attributes:
        order: N, the largest length.
        total: number of units of the corpus.
        ranks: (V,) number of each unit of the vocabulary by its frequency, 1 the most frequent; 0:
            a break, or too rare.
        units: (K + 1,), the inverse: code of each number.
        keys: list of arrays uint64, increasing: the n-grams of n = 1..N as integers.
        counts: list of arrays int64 beside `keys`.
    """

    def __init__(self, order: int, total: int, ranks: np.ndarray, units: np.ndarray):
        self.order, self.total, self.ranks, self.units = order, total, ranks, units
        self.bits = 64 // order
        self.keys: list[np.ndarray] = []
        self.counts: list[np.ndarray] = []

    @classmethod
    def count(cls, corpus: CodedCorpus, order: int, min_count: int) -> NGrams:
        """Count the n-grams of a corpus.

        Args:
            corpus: the corpus.
            order: largest number of units.
            min_count: n-grams that are rarer are left out.
        """
        units = _frequent_units(corpus.counts, min_count, (1 << 64 // order) - 1)
        ranks = np.zeros(len(corpus.counts), "uint64")
        ranks[units] = np.arange(len(units))
        found = cls(order, corpus.total, ranks, units)
        parts: list[list[tuple]] = [[] for _ in range(order)]
        for first, last, size in _ranges(corpus.counts[units]):
            keys = found._collect(corpus, first, last, size)
            for n, part in enumerate(found._sums(keys, min_count), 1):
                parts[n - 1].append(part)
        for part in parts:
            found.keys.append(np.concatenate([keys for keys, _ in part] or [ranks[:0]]))
            found.counts.append(np.concatenate([n for _, n in part] or [np.zeros(0, "int64")]))
        return found

    def recount(self, corpus: CodedCorpus) -> NGrams:
        """Count the same n-grams in another corpus whose units are in the same vocabulary."""
        ranks = np.zeros(len(corpus.counts), "uint64")
        ranks[: len(self.ranks)] = self.ranks[: len(ranks)]
        found = NGrams(self.order, corpus.total, ranks, self.units)
        found.keys = self.keys
        found.counts = [np.zeros(len(keys), "int64") for keys in self.keys]
        for block in corpus.blocks(ranks, "counting"):
            for n in range(1, self.order + 1):
                places = self.find(self.at(block, n), n)
                found.counts[n - 1] += np.bincount(
                    places[places >= 0], minlength=len(self.keys[n - 1])
                )
        return found

    def at(self, block: np.ndarray, n: int) -> np.ndarray:
        """Return the keys of the n-grams that begin at each position of a block: (M,), uint64.

        After a break in an n-gram all its units are 0; the block ends with a break.
        """
        keys, length = block.copy(), len(block)
        bits, mask = np.uint64(self.bits), np.uint64((1 << self.bits) - 1)
        for j in range(1, n):
            goes_on = (keys & mask) != BREAK
            keys <<= bits
            keys[: length - j] |= block[j:] * goes_on[: length - j]
        return keys

    def find(self, keys: np.ndarray, n: int) -> np.ndarray:
        """Return the places of n-grams in `keys[n - 1]`, -1 for one that is not among them."""
        table = self.keys[n - 1]
        if not len(table):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(table, keys), len(table) - 1)
        return np.where(table[places] == keys, places, -1)

    def pmi(self, n: int) -> np.ndarray:
        """Return how firmly the n-grams of a length hold together at their weakest place.

        It is the pointwise mutual information min over cuts w = ab of log(N c(w) / (c(a) c(b))),
        natural logarithm, N the number of units. A single unit, which has no cut, has 0. Where
        c(w) is 0 it is -inf.
        """
        keys, counts = self.keys[n - 1], self.counts[n - 1]
        if n == 1:
            return np.zeros(len(keys))
        logs = np.zeros(len(keys)) - np.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            for cut in range(1, n):
                right = np.uint64(self.bits * (n - cut))
                a = self.counts[cut - 1][self.find(keys >> right, cut)]
                b = self.counts[n - cut - 1][
                    self.find(keys & np.uint64((1 << int(right)) - 1), n - cut)
                ]
                logs = np.maximum(logs, np.log(a) + np.log(b))
            return np.where(counts > 0, np.log(self.total) + np.log(counts) - logs, -np.inf)

    def unpack(self, keys: np.ndarray, n: int) -> np.ndarray:
        """Return the numbers of the units of n-grams: (W,) -> (W, n)."""
        shifts = np.arange(n - 1, -1, -1, dtype="uint64") * np.uint64(self.bits)
        return (keys[:, None] >> shifts) & np.uint64((1 << self.bits) - 1)

    def pack(self, numbers: np.ndarray) -> np.ndarray:
        """Return the keys of n-grams from the numbers of their units: (..., n) -> (...)."""
        shifts = np.arange(numbers.shape[-1] - 1, -1, -1, dtype="uint64") * np.uint64(self.bits)
        return (numbers.astype("uint64") << shifts).sum(-1, dtype="uint64")

    def _collect(self, corpus: CodedCorpus, first: int, last: int, size: int) -> np.ndarray:
        """Return the keys of length N at all positions whose unit is in first .. last-1."""
        keys, filled = np.empty(size, "uint64"), 0
        for block in corpus.blocks(self.ranks, "counting"):
            here = self.at(block, self.order)[(block >= first) & (block < last)]
            keys[filled : filled + len(here)] = here
            filled += len(here)
        return keys

    def _sums(self, keys: np.ndarray, min_count: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return (keys, counts) of the n-grams of each length, n = 1..N, from unsorted N-grams."""
        keys.sort()
        starts = _run_starts(keys)
        counts = np.diff(starts, append=len(keys))
        keys, found = keys[starts], []
        mask = np.uint64((1 << self.bits) - 1)
        for _ in range(self.order):
            kept = (counts >= min_count) & ((keys & mask) != BREAK)
            found.append((keys[kept], counts[kept]))
            keys = keys >> np.uint64(self.bits)
            starts = _run_starts(keys)
            keys, counts = keys[starts], np.add.reduceat(counts, starts)
        return found[::-1]


def _run_starts(keys: np.ndarray) -> np.ndarray:
    """Return where the runs of equal keys begin in sorted ones."""
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))


def _frequent_units(counts: np.ndarray, min_count: int, limit: int) -> np.ndarray:
    """Return the codes of units that are frequent enough, by frequency, after that of the break."""
    frequent = np.flatnonzero(counts >= min_count)
    frequent = frequent[frequent != BREAK]
    frequent = frequent[np.argsort(-counts[frequent], kind="stable")]
    if len(frequent) > limit:
        lowest = int(counts[frequent[limit]])
        warnings.warn(
            f"{len(frequent)} units occur at least {min_count} times, and n-grams of this order "
            f"can have the {limit} most frequent ones. Those with up to {lowest} occurrences are "
            "left out. Give a larger min_count, or a smaller order for more units.",
            UserWarning,
        )
    return np.concatenate([[BREAK], frequent[:limit]]).astype("int64")


def _ranges(counts: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yield (first, last + 1, occurrences) of ranges of units with at most MAX_KEYS occurrences.

    Args:
        counts: (K + 1,), occurrences of the break and of each unit; a unit with more than MAX_KEYS
            has its own range.
    """
    first, size = 1, 0
    for unit in range(1, len(counts)):
        if size and size + counts[unit] > MAX_KEYS:
            yield first, unit, size
            first, size = unit, 0
        size += int(counts[unit])
    if size:
        yield first, len(counts), size

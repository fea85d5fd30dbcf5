"""Bands: which keys a query can see at all, and how they are computed without the other ones.

A band holds the pairs of a query i and a key j whose distance `j - i` is a multiple of `rate`, and
lies between `-left * rate` and `right * rate`. Two steps fold a sequence so that every query is in
one group with all its keys:

1. *Lattice*: position `r + rate * m` goes to row r, column m, by padding to a multiple of `rate`, a
   reshape and a transposition. Positions of other rows are at distances that are no multiples.
2. *Blocks*: a row is cut into blocks of queries, each with the blocks of keys before and after it
   which the window can reach: shifted slices, joined.

With n tokens, blocks of b queries and c candidates (keys in the group of a query), scores have n c
numbers instead of n n. Without a window a lattice row is one block, and c is n / rate.

Two layouts: *folded* (B, G, b, ...) has an axis of groups; in *rows* (B, T, c) the last axis has
the candidates of each query, so that those of several bands can stand side by side.

Legend: B batch, T query length, S key length (equal here), G groups, b queries and c candidates of
a group, M length of a lattice row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from keras import ops

from .._types import Tensor
from .base import Inputs, Mask, Pairs

# Sizes of a block of queries: smaller ones make products of matrices slow, larger ones have more
# candidates outside of the window.
_SMALLEST, _LARGEST = 16, 128
# Pairs of dense attention for each one in bands, from which on bands are used. Folding and a
# product of many small matrices cost time too: with twice the pairs, torch is slower than dense.
_LEAST_SAVING = 3


class Band(NamedTuple):
    """Distances between queries and keys, see the module.

    Attributes:
        rate: distances are multiples of it.
        left, right: largest distance before and after the query, in multiples of `rate`; None in
            both: any distance.
    """

    rate: int = 1
    left: int | None = None
    right: int | None = None

    @property
    def blocks(self) -> tuple[int, int, int] | None:
        """Blocks of keys before the own one, queries in a block, blocks after; None: no window."""
        if self.left is None or self.right is None:
            return None
        reach = max(self.left, self.right, 1)
        size = -(-reach // -(-reach // _LARGEST))
        size = max(_SMALLEST, -(-size // 8) * 8)
        return -(-self.left // size), size, -(-self.right // size)

    def candidates(self, length: int | None) -> int | None:
        """Return c, the keys that are computed for each of `length` queries; None: not known."""
        if self.blocks is None:
            return None if length is None else -(-length // self.rate)
        before, size, after = self.blocks
        return (before + 1 + after) * size

    def causal(self) -> Band:
        """Return the band without the keys after a query, if it has a window."""
        return self if self.right is None else self._replace(right=0)

    def contains(self, distance: Tensor) -> Tensor:
        """Return which distances `key - query` belong to the band, bool."""
        found = ops.equal(distance % self.rate, 0)
        if self.left is None or self.right is None:
            return found
        near = (distance >= -self.left * self.rate, distance <= self.right * self.rate)
        return ops.logical_and(found, ops.logical_and(*near))

    def fold_queries(self, x: Tensor) -> Tensor:
        """Fold x (B, T, ...) to (B, G, b, ...); padding is zero."""
        x = self.lattice(x)
        rows, row, *rest = ops.shape(x)
        _, size, _ = self.blocks or (0, row, 0)
        count = (row + size - 1) // size
        x = extend(x, 1, 0, count * size)
        return ops.reshape(x, (rows // self.rate, self.rate * count, size, *rest))

    def fold_keys(self, x: Tensor) -> Tensor:
        """Fold x (B, S, ...) to the candidates of each group, (B, G, c, ...); padding is zero."""
        x = self.lattice(x)
        rows, row, *rest = ops.shape(x)
        before, size, after = self.blocks or (0, row, 0)
        count = (row + size - 1) // size
        x = self.windows(extend(x, 1, before * size, (before + count + after) * size))
        return ops.reshape(x, (rows // self.rate, self.rate * count, -1, *rest))

    def unfold(self, x: Tensor, length: int | Tensor) -> Tensor:
        """Undo `fold_queries`: (B, G, b, ...) to (B, T, ...)."""
        batch, groups, size, *rest = ops.shape(x)
        x = ops.reshape(x, (batch * self.rate, groups // self.rate * size, *rest))
        return self.unlattice(x, length)

    def windows(self, x: Tensor) -> Tensor:
        """Return the candidates of each block, (rows, blocks, c, ...).

        Args:
            x: rows of the lattice with the keys around them, (rows, (before + blocks + after) b,
                ...), see `blocks`.
        """
        if self.blocks is None:
            return x[:, None]
        (rows, row, *rest), (before, size, after) = ops.shape(x), self.blocks
        shifts = before + 1 + after
        count = row // size - shifts + 1
        x = ops.reshape(x, (rows, row // size, size, *rest))
        return ops.concatenate([x[:, i : i + count] for i in range(shifts)], axis=2)

    def distances(self, length: int | Tensor) -> Tensor:
        """Return `key - query` in a group, int (1, 1, b, c); it is the same in all groups."""
        row = (length + self.rate - 1) // self.rate
        before, size, after = self.blocks or (0, row, 0)
        query = ops.arange(size, dtype="int32") + before * size
        key = ops.arange((before + 1 + after) * size, dtype="int32")
        return ((key[None, :] - query[:, None]) * self.rate)[None, None]

    def lattice(self, x: Tensor) -> Tensor:
        """Put positions at multiples of the rate from each other in a row: (B rate, M, ...)."""
        if self.rate == 1:
            return x
        batch, length, *rest = ops.shape(x)
        row = (length + self.rate - 1) // self.rate
        x = ops.reshape(extend(x, 1, 0, row * self.rate), (batch, row, self.rate, *rest))
        return ops.reshape(ops.swapaxes(x, 1, 2), (batch * self.rate, row, *rest))

    def unlattice(self, x: Tensor, length: int | Tensor) -> Tensor:
        """Undo `lattice`, for rows that may be longer: (B rate, M or more, ...) to (B, T, ...)."""
        row = (length + self.rate - 1) // self.rate
        if self.rate == 1:
            return x[:, :length]
        rows, _, *rest = ops.shape(x)
        x = ops.reshape(x[:, :row], (rows // self.rate, self.rate, row, *rest))
        x = ops.reshape(ops.swapaxes(x, 1, 2), (rows // self.rate, row * self.rate, *rest))
        return x[:, :length]


def extend(x: Tensor, axis: int, before: int, length: int | Tensor) -> Tensor:
    """Pad an axis with zeros, `before` of them at its start, to a length."""
    after = length - before - ops.shape(x)[axis]
    if isinstance(after, int) and not before and not after:
        return x
    if isinstance(after, int):
        return ops.pad(x, [(before, after) if i == axis else (0, 0) for i in range(len(x.shape))])
    sizes = ops.shape(x)  # `ops.pad` takes no length that only the program knows on OpenVINO
    zeros = [ops.zeros((*sizes[:axis], n, *sizes[axis + 1 :]), x.dtype) for n in (before, after)]
    return ops.concatenate([zeros[0], x, zeros[1]], axis=axis)


class _BandPairs(Pairs):
    """Pairs of a band in the folded layout: vectors of queries and keys are (B|1, G, b|1, 1|c)."""

    def __init__(self, band: Band, length: int | Tensor):
        self.band = band
        self.distance = band.distances(length)

    def queries(self, x: Tensor) -> Tensor:
        return self.band.fold_queries(x)[..., None]

    def keys(self, x: Tensor) -> Tensor:
        return self.band.fold_keys(x)[:, :, None]


def candidates(bands: Sequence[Band], length: int | None) -> int | None:
    """Return the candidates of a query in all bands; None: the length must be known."""
    counts = [band.candidates(length) for band in bands]
    return None if None in counts else sum(counts)


def saves_work(bands: Sequence[Band], length: object) -> bool:
    """Return whether bands compute at most a third of what dense attention does.

    With a length that only the compiled program knows they are used.
    """
    if not bands or not isinstance(length, int):
        return bool(bands)
    return _LEAST_SAVING * candidates(bands, length) <= length


def banded_mask(
    strategy: Mask, bands: Sequence[Band], inputs: Inputs, real: Tensor, query_stream: bool
) -> Tensor:
    """Evaluate a strategy on the candidates of each query.

    Args:
        strategy: the mask; no pair outside the bands is visible under it.
        bands: a pair that is in several of them counts in the first.
        inputs: the model inputs by name.
        real: False at padding, bool (B, S).
        query_stream: see `Mask.visible`.

    Returns:
        bool (B, 1, 1, T, c): five axes tell it from a dense mask.
    """
    length, rows = ops.shape(real)[1], []
    for i, band in enumerate(bands):
        pairs = _BandPairs(band, length)
        mask = ops.logical_and(
            strategy.visible_pairs(pairs, inputs, query_stream), pairs.keys(real)
        )
        if len(bands) > 1:  # candidates outside of a band may be inside of another one
            mask = ops.logical_and(mask, band.contains(pairs.distance))
        for earlier in bands[:i]:
            again = earlier.contains(pairs.distance)
            mask = ops.logical_and(mask, ops.logical_not(again))
        rows.append(band.unfold(mask, length))
    return ops.concatenate(rows, axis=-1)[:, None, None]

"""Parts of a sequence, to compute a band for a few queries at a time: less memory, warm caches.

A part is some blocks of queries of each lattice row, with the keys that their windows can reach:
the keys of the part itself, and the ones right before and after it. So the keys are not copied for
each block before they are needed, and scores exist for one part at a time.

Legend: B batch, T length, R lattice rows of all texts (B rate), P parts, C queries of a part, b and
c queries and candidates of a block.
"""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from .._compat import can_map
from .._types import Tensor
from .bands import Band, extend


class PartKeys(NamedTuple):
    """Keys of each part, (P, R, C, ...), and the ones before and after it; zeros beyond the ends.

    Of one part each has an axis less.
    """

    before: Tensor
    own: Tensor
    after: Tensor


class BandParts:
    """Parts of a sequence under a band.

    Args:
        band: a band with a window.
        length: T.
        tokens: largest C, unless the window is larger; None: the whole row is one
            part, as it is where parts of an unknown number cannot be mapped.
    """

    def __init__(self, band: Band, length: int | Tensor, tokens: int | None = None):
        assert band.blocks is not None
        self.band, self.length = band, length
        self.blocks_before, self.block, self.blocks_after = band.blocks
        reach = max(self.blocks_before, self.blocks_after) * self.block
        row = (length + band.rate - 1) // band.rate
        self.count: int | Tensor = 1
        if tokens is not None and can_map(row):
            largest = max(tokens // self.block * self.block, 2 * reach)
            self.count = (row + largest - 1) // largest
        size = (row + self.count - 1) // self.count  # equal parts: less padding
        size = (size + self.block - 1) // self.block * self.block
        known = isinstance(size, int)
        self.size: int | Tensor = max(size, reach) if known else ops.maximum(size, reach)

    def queries(self, x: Tensor) -> Tensor:
        """Cut x (B, T, ...) to (P, R, C, ...); padding is zero."""
        return ops.swapaxes(self._cut(x), 0, 1)

    def keys(self, x: Tensor) -> PartKeys:
        """Cut x (B, S, ...) to the keys of each part."""
        own = self._cut(x)
        left, right = (n * self.block for n in (self.blocks_before, self.blocks_after))
        start = self.size - left
        before = ops.concatenate([ops.zeros_like(own[:, :1, :left]), own[:, :-1, start:]], axis=1)
        after = ops.concatenate([own[:, 1:, :right], ops.zeros_like(own[:, :1, :right])], axis=1)
        return PartKeys(*(ops.swapaxes(part, 0, 1) for part in (before, own, after)))

    def blocks(self, part: Tensor) -> Tensor:
        """Cut queries of one part, (R, C, ...), to blocks, (R C / b, b, ...)."""
        return ops.reshape(part, (-1, self.block, *ops.shape(part)[2:]))

    def candidates(self, part: PartKeys) -> Tensor:
        """Return the candidates of each block of one part, (R C / b, c, ...)."""
        x = self.band.windows(ops.concatenate(part, axis=1))
        return ops.reshape(x, (-1, *ops.shape(x)[2:]))

    def join(self, x: Tensor) -> Tensor:
        """Undo `queries`: (P, R, C, ...) to (B, T, ...)."""
        count, rows, size, *rest = ops.shape(x)
        x = ops.reshape(ops.swapaxes(x, 0, 1), (rows, count * size, *rest))
        return self.band.unlattice(x, self.length)

    def _cut(self, x: Tensor) -> Tensor:
        """Cut x (B, T, ...) to (R, P, C, ...)."""
        x = self.band.lattice(x)
        x = extend(x, 1, 0, self.count * self.size)
        rows, _, *rest = ops.shape(x)
        return ops.reshape(x, (rows, self.count, self.size, *rest))

"""Lazy tensors: shape and dtype are known, the data is made when its turn to be written comes.

Checkpoints are saved and converted through them, so only one tensor (or one TensorFlow data file)
is in memory at a time. A change of layout is first applied to zeros of the same shape, which take
the memory of one element (their strides are 0). So a layout that does not apply, or slices that do
not make up a fused tensor, are found before any data is read, and a file can state the resulting
shapes in its header. `checked` compares the data with what was stated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from .errors import CheckpointError
from .tensor_transform import TensorTransform, fuse


@dataclasses.dataclass(frozen=True)
class LazyTensor:
    """A tensor whose data is not in memory yet.

    Attributes:
        shape: its shape.
        dtype: its dtype.
        make: function that reads or computes it; called once, when it is written.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], np.ndarray]

    @classmethod
    def of(cls, tensor: np.ndarray | LazyTensor) -> LazyTensor:
        """Return the tensor itself if it is lazy, or a lazy tensor of an array."""
        if isinstance(tensor, cls):
            return tensor
        array = np.asarray(tensor)
        return cls(array.shape, array.dtype, lambda: array)

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def through(self, change: Callable[[np.ndarray], np.ndarray]) -> LazyTensor:
        """Return this tensor after a change of layout.

        Raises:
            ValueError: the change does not apply to a tensor of this shape.
        """
        result = change(self._blank())
        return LazyTensor(result.shape, result.dtype, lambda: change(self.make()))

    def checked(self, name: str) -> np.ndarray:
        """Make the data.

        Raises:
            CheckpointError: its shape or dtype is not the announced one.
        """
        array = np.asarray(self.make())
        if (array.shape, array.dtype) != (self.shape, self.dtype):
            raise CheckpointError(
                f"`{name}` was announced as {self.dtype} {self.shape} and is {array.dtype} "
                f"{array.shape}"
            )
        return array

    def _blank(self) -> np.ndarray:
        """Return zeros of this shape and dtype that take the memory of one element."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)


def fuse_lazily(tensor: str, parts: Sequence[tuple[TensorTransform, LazyTensor]]) -> LazyTensor:
    """Return the lazy stored tensor of some weights; `fuse` without their data.

    Args:
        tensor: name of the stored tensor, for messages.
        parts: (transform, weight) of every weight stored in it.

    Raises:
        CheckpointError: slices are missing, doubled or of mixed kinds.
    """
    if len(parts) == 1 and parts[0][0].slice is None:
        transform, weight = parts[0]
        return weight.through(transform.inverse)  # a view: contiguous data would be a copy
    blank = fuse(tensor, [(transform, weight._blank()) for transform, weight in parts])
    return LazyTensor(
        blank.shape,
        blank.dtype,
        lambda: fuse(tensor, [(transform, weight.make()) for transform, weight in parts]),
    )

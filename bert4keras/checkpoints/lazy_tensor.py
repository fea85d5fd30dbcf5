"""Tensors known by their shape and made one at a time, so that a checkpoint is never in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from .errors import CheckpointError
from .table import TensorTransform, fuse


@dataclasses.dataclass(frozen=True)
class LazyTensor:
    """A tensor to come.

    Attributes:
        shape: of the tensor.
        dtype: of the tensor.
        make: reads or computes it; called once, when its turn to be written comes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], np.ndarray]

    @classmethod
    def of(cls, tensor: np.ndarray | LazyTensor) -> LazyTensor:
        """The tensor itself if it is lazy, or one that gives the array."""
        if isinstance(tensor, cls):
            return tensor
        array = np.asarray(tensor)
        return cls(array.shape, array.dtype, lambda: array)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def through(self, change: Callable[[np.ndarray], np.ndarray]) -> LazyTensor:
        """This tensor after a change of layout.

        Raises:
            ValueError: the change does not apply to such a tensor; found out without its data.
        """
        result = change(self._blank())
        return LazyTensor(result.shape, result.dtype, lambda: change(self.make()))

    def checked(self, name: str) -> np.ndarray:
        """Make the tensor.

        Raises:
            CheckpointError: it is not what was announced.
        """
        array = np.asarray(self.make())
        if (array.shape, array.dtype) != (self.shape, self.dtype):
            raise CheckpointError(
                f"`{name}` was announced as {self.dtype} {self.shape} and came as {array.dtype} "
                f"{array.shape}"
            )
        return array

    def _blank(self) -> np.ndarray:
        """Zeros of this shape which take no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)


def fused(tensor: str, parts: Sequence[tuple[TensorTransform, LazyTensor]]) -> LazyTensor:
    """The stored tensor that some weights make up, see `fuse`.

    Args:
        tensor: name of the stored tensor, for messages.
        parts: (transform, weight) of every weight stored in it.

    Raises:
        CheckpointError: the weights do not make up one tensor; found out without their data.
    """
    if len(parts) == 1 and parts[0][0].slice is None:
        transform, weight = parts[0]
        return weight.through(transform.inverse)  # not made contiguous: that would be a copy
    blank = fuse(tensor, [(transform, weight._blank()) for transform, weight in parts])
    return LazyTensor(
        blank.shape,
        blank.dtype,
        lambda: fuse(tensor, [(transform, weight.make()) for transform, weight in parts]),
    )

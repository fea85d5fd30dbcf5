"""The interface of every reader, and the rule for half precisions."""

from __future__ import annotations

import numpy as np


class CheckpointReader:
    """An open checkpoint. Use as a context manager, or call `close`.

    Attributes:
        source: where it was read from, for messages.
    """

    source: str = ""

    @property
    def names(self) -> list[str]:
        """Tensor names, as stored."""
        raise NotImplementedError

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it."""
        raise NotImplementedError

    def dtype(self, name: str) -> np.dtype:
        """What `read` will return, without reading it."""
        raise NotImplementedError

    def read(self, name: str) -> np.ndarray:
        """Read one tensor.

        Args:
            name: one of `names`.

        Returns:
            An array that belongs to the caller; half precisions come as float32.

        Raises:
            CheckpointError: the data is damaged or not finite; names file and tensor.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give the file handles back."""

    def __enter__(self) -> CheckpointReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def wide(dtype: np.dtype) -> np.dtype:
    """The dtype in which tensors of `dtype` are handed out: half precisions come as float32."""
    half = dtype == np.float16 or dtype.name == "bfloat16"
    return np.dtype(np.float32) if half else dtype


def widened(array: np.ndarray) -> np.ndarray:
    """The array in the dtype in which it is handed out; not copied without need."""
    return array.astype(wide(array.dtype), copy=False)

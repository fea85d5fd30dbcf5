"""Interface of the checkpoint readers, and the dtype in which they return half precisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Self


class CheckpointReader:
    """An open checkpoint. Use it as a context manager, or call `close`.

    Attributes:
        source: where it was read from, for messages.
    """

    source: str = ""

    @property
    def names(self) -> list[str]:
        """Tensor names, as stored."""
        raise NotImplementedError

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor without reading its data."""
        raise NotImplementedError

    def dtype(self, name: str) -> np.dtype:
        """Return the dtype of the array that `read` returns, without reading its data."""
        raise NotImplementedError

    def read(self, name: str) -> np.ndarray:
        """Read one tensor.

        Args:
            name: one of `names`.

        Returns:
            A new array; half precisions as float32.

        Raises:
            CheckpointError: the data is damaged or not finite; names file and tensor.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def returned_dtype(dtype: np.dtype) -> np.dtype:
    """Return the dtype in which readers return tensors of `dtype`: float32 for half precisions."""
    half = dtype == np.float16 or dtype.name == "bfloat16"
    return np.dtype(np.float32) if half else dtype


def to_returned_dtype(array: np.ndarray) -> np.ndarray:
    """Return the array in the dtype in which readers return it; copied only if that differs."""
    return array.astype(returned_dtype(array.dtype), copy=False)

"""The error of checkpoints, and checks of tensor data."""

from __future__ import annotations

import zlib

import numpy as np

CRC_KEY = "bert4keras.crc32"
PIECE = 1 << 17  # values of a tensor that are read or checked at a time


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, written or matched; the message says which one and why."""


def crc32_start(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """Return the start value of a tensor's CRC32, to continue over its data with `zlib.crc32`.

    Args:
        name: tensor name in the file.
        dtype: dtype of the stored tensor.
        shape: shape of the tensor.

    Returns:
        CRC32 of name, dtype and shape, so that damage of the header is found too.
    """
    # numpy has no bfloat16; it is stored as its bits.
    code = "<u2" if dtype.name == "bfloat16" else dtype.str
    return zlib.crc32(f"{name}|{code}|{tuple(shape)}".encode())


def require_finite(name: str, array: np.ndarray, source: str) -> None:
    """Refuse NaN and infinity, which usually come from a damaged file.

    Raises:
        CheckpointError: some values are not finite; names the tensor and the file.
    """
    if array.dtype.kind != "f":
        return
    flat = array.reshape(-1)
    # In pieces: a mask of the whole tensor would take a quarter of its memory.
    pieces = (flat[start : start + PIECE] for start in range(0, flat.size, PIECE))
    bad = sum(piece.size - np.count_nonzero(np.isfinite(piece)) for piece in pieces)
    if bad:
        raise CheckpointError(
            f"{source}: tensor `{name}`: {bad} of {array.size} values are NaN or infinite. The "
            "file is damaged, or the training that wrote it diverged. Fetch the checkpoint again."
        )

"""The error of everything that can go wrong with a checkpoint, and the checks on tensor data."""

from __future__ import annotations

import zlib

import numpy as np

CRC_KEY = "bert4keras.crc32"
PIECE = 1 << 17  # values of a tensor that are looked at together


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, written or matched; the message says which and why."""


def crc32_start(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """Checksum of a tensor before its data, to go on from with `zlib.crc32` piece by piece.

    Args:
        name: tensor name in the file.
        dtype: of the tensor, as stored.
        shape: of the tensor.

    Returns:
        CRC32 over what a header says about the tensor, so that a damaged header shows as well.
    """
    # bfloat16 is foreign to numpy, and kept in files as its bits.
    code = "<u2" if dtype.name == "bfloat16" else dtype.str
    return zlib.crc32(f"{name}|{code}|{tuple(shape)}".encode())


def require_finite(name: str, array: np.ndarray, source: str) -> None:
    """Refuse NaN and infinity, which in weights are the usual trace of a damaged file.

    Raises:
        CheckpointError: naming the tensor and the file.
    """
    if array.dtype.kind != "f":
        return
    flat = array.reshape(-1)
    # In pieces: a mask of the whole tensor would take a quarter of its memory again.
    pieces = (flat[start : start + PIECE] for start in range(0, flat.size, PIECE))
    bad = sum(piece.size - np.count_nonzero(np.isfinite(piece)) for piece in pieces)
    if bad:
        raise CheckpointError(
            f"{source}: tensor `{name}` holds {bad} of {array.size} values that are NaN or "
            "infinite. The file is damaged or the training that wrote it diverged; "
            "fetch the checkpoint again."
        )

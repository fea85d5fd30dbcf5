"""The error of everything that can go wrong with a checkpoint, and the checks on tensor data."""

from __future__ import annotations

import zlib

import numpy as np

CRC_KEY = "bert4keras.crc32"


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, written or matched; the message says which and why."""


def crc32(name: str, array: np.ndarray) -> int:
    """Checksum of one tensor: its bytes, and what a header says about them.

    Args:
        name: tensor name in the file.
        array: the tensor as stored, C-contiguous.

    Returns:
        CRC32 over name, dtype, shape and data, so that a damaged header shows as well.
    """
    if array.dtype.name == "bfloat16":  # foreign to numpy, and kept in files as its bits
        array = array.view("<u2")
    label = f"{name}|{array.dtype.str}|{array.shape}"
    return zlib.crc32(array.reshape(-1).view(np.uint8), zlib.crc32(label.encode("utf-8")))


def require_finite(name: str, array: np.ndarray, source: str) -> None:
    """Refuse NaN and infinity, which in weights are the usual trace of a damaged file.

    Raises:
        CheckpointError: naming the tensor and the file.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise CheckpointError(
            f"{source}: tensor `{name}` holds {bad} of {array.size} values that are NaN or "
            "infinite. The file is damaged or the training that wrote it diverged; "
            "fetch the checkpoint again."
        )

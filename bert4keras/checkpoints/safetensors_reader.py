"""Readers of `.safetensors` files and of shards with an index.

The safetensors library checks the header; the data of a tensor is read here, on demand.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from .._json import require_regular_file
from .base import CheckpointReader, returned_dtype, to_returned_dtype
from .directories import indexed_files
from .errors import (
    CRC_KEY,
    PIECE,
    CheckpointError,
    crc32_start,
    require_finite,
)

# safetensors dtype -> numpy dtype of the bytes in the file; bfloat16 as its bits.
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


class SafetensorsReader(CheckpointReader):
    """Reader of one `.safetensors` file."""

    def __init__(self, path: str | Path):
        self.source = str(path)
        self._header, self._start = _safetensors_header(Path(path))
        metadata = self._header.pop("__metadata__", None) or {}
        self._checksums = _checksums(self.source, metadata, self._header)
        self._file = open(path, "rb")  # noqa: SIM115 - stays open until close()

    @property
    def names(self) -> list[str]:
        return list(self._header)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._header[name]["shape"])

    def dtype(self, name: str) -> np.dtype:
        return np.dtype("<f4") if self._is_bfloat16(name) else returned_dtype(self._stored(name))

    def _is_bfloat16(self, name: str) -> bool:
        return self._header[name]["dtype"] == "BF16"

    def _stored(self, name: str) -> np.dtype:
        dtype = self._header[name]["dtype"]
        if dtype not in DTYPES:
            raise CheckpointError(
                f"{self.source}: tensor `{name}` is stored as {dtype}, which cannot be read; "
                f"known dtypes: {', '.join(DTYPES)}. Convert the file to float32 or bfloat16."
            )
        return np.dtype(DTYPES[dtype])

    def read(self, name: str) -> np.ndarray:
        stored, shape = self._stored(name), self.shape(name)
        widen = _from_bfloat16 if self._is_bfloat16(name) else to_returned_dtype
        begin, end = self._header[name]["data_offsets"]
        array = np.empty((end - begin) // stored.itemsize, self.dtype(name))
        checksum = crc32_start(name, stored, shape)
        self._file.seek(self._start + begin)
        # In pieces, so that a half-precision tensor is never in memory twice.
        for start in range(0, array.size, PIECE):
            piece = np.fromfile(self._file, stored, min(PIECE, array.size - start))
            if start + piece.size != min(start + PIECE, array.size):
                raise CheckpointError(f"{self.source} is truncated: tensor `{name}` ends too early")
            checksum = zlib.crc32(piece.view(np.uint8).data, checksum)
            array[start : start + piece.size] = widen(piece)
        if self._checksums is not None and self._checksums.get(name) != checksum:
            raise CheckpointError(
                f"{self.source}: tensor `{name}` does not match its checksum; the file is damaged"
            )
        if self._checksums is None:
            require_finite(name, array, self.source)
        return array.reshape(shape)

    def close(self) -> None:
        self._file.close()


def _safetensors_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of a file that the library accepts, and the offset of its data."""
    from safetensors import SafetensorError, safe_open

    try:
        require_regular_file(path, CheckpointError)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist") from error
    try:
        with safe_open(path, framework="np"):
            pass
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not a complete safetensors file ({error!s:.300}). Fetch it again."
        ) from error
    return header, 8 + size


def _checksums(source: str, metadata: Mapping[str, str], header: Mapping) -> dict | None:
    """Return CRC32 by tensor name, or None if the file has no checksums."""
    if CRC_KEY not in metadata:
        return None
    try:
        checksums = dict(json.loads(metadata[CRC_KEY]))
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{source}: the list of checksums is damaged ({error})") from error
    lost = sorted(set(checksums) - set(header))
    if lost:
        raise CheckpointError(f"{source} is damaged: its header lacks `{lost[0]}`")
    return checksums


class ShardedReader(CheckpointReader):
    """Reader of several `.safetensors` files with an `.index.json`."""

    def __init__(self, path: str | Path):
        path = Path(path)
        self.source = str(path)
        self._shard_of: dict[str, SafetensorsReader] = {}
        files = indexed_files(path)
        with ExitStack() as stack:
            shards: dict[str, SafetensorsReader] = {}
            for file in sorted(set(files.values())):
                shard = path.parent / file
                if not shard.exists():
                    raise CheckpointError(f"{path} names the shard {file}, which is missing")
                shards[file] = stack.enter_context(SafetensorsReader(shard))
            contents = {file: set(shard.names) for file, shard in shards.items()}
            for name, file in files.items():
                if name not in contents[file]:
                    raise CheckpointError(f"{path} places `{name:.80}` in {file}, which lacks it")
                self._shard_of[name] = shards[file]
            self._handles = stack.pop_all()

    @property
    def names(self) -> list[str]:
        return list(self._shard_of)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shard_of[name].shape(name)

    def dtype(self, name: str) -> np.dtype:
        return self._shard_of[name].dtype(name)

    def read(self, name: str) -> np.ndarray:
        return self._shard_of[name].read(name)

    def close(self) -> None:
        self._handles.close()


def _from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Return the float32 values of bfloat16 bits, which are the upper half of a float32.

    numpy has no bfloat16.
    """
    return (bits.astype(np.uint32) << 16).view(np.float32)

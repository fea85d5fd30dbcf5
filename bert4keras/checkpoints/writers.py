"""Writers of checkpoints, which replace the old files atomically, see `bert4keras._files`.

A single file (safetensors) is old or new at every moment, even if the process is killed. Several
files (a TensorFlow checkpoint, weights with their config) move one by one, so a killed process may
leave old and new ones side by side. The index of a TensorFlow checkpoint moves last: TensorFlow
then finds wrong checksums and refuses the tensors.

Tensors may be lazy (`LazyTensor`). A safetensors file is written one tensor at a time, a TensorFlow
checkpoint one data file at a time.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .._files import atomic_files
from .errors import CRC_KEY, CheckpointError, crc32_start
from .lazy_tensor import LazyTensor
from .safetensors_reader import DTYPES

# numpy has no bfloat16; `_code` handles it.
_CODES = {np.dtype(layout): code for code, layout in DTYPES.items() if code != "BF16"}
_TENSORFLOW_SHARD = 10**9  # bytes in memory while TensorFlow writes, unless the caller says


@contextmanager
def atomic_checkpoint(directory: str | Path, checkpoint: str | None = None) -> Iterator[Path]:
    """Yield a directory to write in; on leaving the context, all its files move or none.

    They move in the order of their names, the index of a TensorFlow checkpoint last.

    Args:
        directory: destination; made if missing.
        checkpoint: name of the checkpoint. Its old files without a successor, such as shards, are
            removed, and so is the staging directory of a killed save.

    Raises:
        OSError: a file could not be written; the old ones are intact.
    """
    outdated = partial(_is_of, checkpoint)
    last = lambda path: path.suffix == ".index"  # noqa: E731
    with atomic_files(directory, checkpoint or "files", outdated, last) as staging:
        yield staging


def _is_of(checkpoint: str | None, path: Path) -> bool:
    """Return whether a file belongs to a checkpoint: its name is one that the writers below use."""
    if checkpoint is None:
        return False
    stem = re.escape(checkpoint.removesuffix(".safetensors"))
    if checkpoint.endswith(".safetensors"):
        pattern = rf"{stem}(-\d{{5}}-of-\d{{5}})?\.safetensors|{stem}\.safetensors\.index\.json"
    else:
        pattern = rf"{stem}\.(index|data-\d{{5}}-of-\d{{5}})"
    return re.fullmatch(pattern, path.name) is not None


def write_safetensors(
    path: str | Path,
    tensors: Mapping[str, np.ndarray | LazyTensor],
    metadata: Mapping[str, str] | None = None,
    max_shard_size: int | None = None,
) -> list[Path]:
    """Write a `.safetensors` file with a checksum of every tensor in its metadata.

    Args:
        path: the file; replaced atomically, with its shards.
        tensors: name -> tensor; lazy ones are made one at a time.
        metadata: more text to store; `format: pt`, which transformers requires, is added.
        max_shard_size: bytes of tensors above which `path` is split into files
            `stem-00001-of-00003.safetensors` and an index `path.index.json`; None never splits.

    Returns:
        The files written, the index first.

    Raises:
        CheckpointError: the file could not be written; the old one is intact.
    """
    path = Path(path)
    with checkpoint_errors(path), atomic_checkpoint(path.parent, path.name) as staging:
        names = put_safetensors(staging, path.name, tensors, metadata, max_shard_size)
    return [path.with_name(name) for name in names]


def put_safetensors(
    directory: Path,
    file_name: str,
    tensors: Mapping[str, np.ndarray | LazyTensor],
    metadata: Mapping[str, str] | None = None,
    max_shard_size: int | None = None,
) -> list[str]:
    """Write safetensors files into a directory of `atomic_checkpoint`; return their names."""
    notes = {"format": "pt", **(metadata or {})}
    shards = _shards(tensors, max_shard_size)
    names, index = [file_name], f"{file_name}.index.json"
    if len(shards) > 1:
        stem, count = file_name.removesuffix(".safetensors"), len(shards)
        names = [f"{stem}-{k:05d}-of-{count:05d}.safetensors" for k in range(1, count + 1)]
    for name, shard in zip(names, shards, strict=True):
        with open(directory / name, "wb") as file:
            _write_file(file, shard, notes)
    if len(shards) == 1:
        return names
    values = {
        "metadata": {"total_size": sum(t.nbytes for s in shards for t in s.values())},
        "weight_map": {t: n for n, s in zip(names, shards, strict=True) for t in s},
    }
    put_json(directory / index, values)
    return [index, *names]


def _shards(
    tensors: Mapping[str, np.ndarray | LazyTensor], limit: int | None
) -> list[dict[str, LazyTensor]]:
    """Return the tensors sorted by name, in groups of at most `limit` bytes.

    A larger tensor is in a group by itself.
    """
    if limit is not None and limit <= 0:
        raise CheckpointError(f"the size of a shard must be positive, not {limit} bytes")
    shards, size = [{}], 0
    for name in sorted(tensors):
        tensor = LazyTensor.of(tensors[name])
        if limit is not None and shards[-1] and size + tensor.nbytes > limit:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    return shards


def _write_file(
    file: BinaryIO, tensors: Mapping[str, LazyTensor], notes: Mapping[str, str]
) -> None:
    """Write the header and the tensors one by one, then the header again with the checksums."""
    # As the library does: larger items first, so that the data of every tensor is aligned.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    entries, end = {}, 0
    for name in order:
        tensor, begin = tensors[name], end
        end += tensor.nbytes
        code, shape = _code(name, tensor.dtype), list(tensor.shape)
        entries[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    file.write(_header(entries, notes, dict.fromkeys(order, 0)))
    checksums = {name: _write_tensor(file, name, tensors[name]) for name in order}
    file.seek(0)
    file.write(_header(entries, notes, checksums))


def _code(name: str, dtype: np.dtype) -> str:
    """Return the name of a dtype in safetensors files."""
    code = "BF16" if dtype.name == "bfloat16" else _CODES.get(dtype.newbyteorder("<"))
    if code is None or name == "__metadata__":
        raise CheckpointError(f"a safetensors file cannot hold `{name}` of dtype {dtype}")
    return code


def _header(entries: Mapping, notes: Mapping[str, str], checksums: Mapping[str, int]) -> bytes:
    """Return the bytes of the header; their number does not depend on the checksums."""
    listed = ",".join(f"{json.dumps(name)}:{value:10d}" for name, value in checksums.items())
    values = {"__metadata__": {**notes, CRC_KEY: f"{{{listed}}}"}, **entries}
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write_tensor(file: BinaryIO, name: str, tensor: LazyTensor) -> int:
    """Write the data of one tensor and return its checksum."""
    stored = np.dtype(DTYPES[_code(name, tensor.dtype)])
    array = np.ascontiguousarray(tensor.checked(name)).reshape(-1)
    if tensor.dtype.name != "bfloat16":  # that is written as its bits
        array = array.astype(stored, copy=False)
    data = array.view(np.uint8).data
    file.write(data)
    return zlib.crc32(data, crc32_start(name, stored, tensor.shape))


def write_tensorflow(
    prefix: str | Path,
    tensors: Mapping[str, np.ndarray | LazyTensor],
    max_shard_size: int | None = None,
) -> list[Path]:
    """Write a name-based TensorFlow checkpoint, `prefix.index` and its data files.

    Args:
        prefix: such as `dir/bert_model.ckpt`.
        tensors: variable name -> tensor; lazy ones are made when their data file is written.
        max_shard_size: bytes of tensors per data file, and in memory at a time; None means 1 GB.

    Returns:
        A list with the prefix.

    Raises:
        CheckpointError: TensorFlow is not installed, or the files could not be written; the old
            ones are intact.
    """
    prefix = Path(prefix)
    with checkpoint_errors(prefix), atomic_checkpoint(prefix.parent, prefix.name) as staging:
        put_tensorflow(staging, prefix.name, tensors, max_shard_size)
    return [prefix]


def put_tensorflow(
    directory: Path,
    name: str,
    tensors: Mapping[str, np.ndarray | LazyTensor],
    max_shard_size: int | None = None,
) -> list[str]:
    """Write a TensorFlow checkpoint into a directory of `atomic_checkpoint`; return its prefix."""
    try:
        import tensorflow as tf
    except ImportError as error:
        raise CheckpointError(
            f"writing {name} needs TensorFlow, which is not installed. Install it, or save "
            'with format="huggingface".'
        ) from error
    shards = _shards(tensors, _TENSORFLOW_SHARD if max_shard_size is None else max_shard_size)
    parts = [str(directory / f"part-{k}" / name) for k in range(len(shards))]
    try:
        with tf.device("cpu"):
            for part, shard in zip(parts, shards, strict=True):
                tf.raw_ops.SaveV2(
                    prefix=part,
                    tensor_names=list(shard),
                    shape_and_slices=[""] * len(shard),
                    tensors=[_tensor(t.checked(name)) for name, t in shard.items()],
                )
            tf.raw_ops.MergeV2Checkpoints(
                checkpoint_prefixes=parts,
                destination_prefix=str(directory / name),
                delete_old_dirs=True,
            )
    except tf.errors.OpError as error:
        raise OSError(f"{error.message} ({directory})") from error
    return [name]


def _tensor(array: np.ndarray) -> Any:
    """Return the array as a TensorFlow tensor, for floats without a copy.

    `tf.convert_to_tensor` takes the memory of the array two times more.
    """
    import tensorflow as tf

    if array.dtype.kind != "f" or not array.size:
        return tf.convert_to_tensor(array)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return tf.experimental.dlpack.from_dlpack(np.require(native, None, ["C", "W"]).__dlpack__())


@contextmanager
def checkpoint_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a CheckpointError that names `path`."""
    try:
        yield
    except OSError as error:
        reason = str(error).removeprefix(f"could not write {path.parent}: ")
        if error.filename == str(path.parent):
            reason = error.strerror
        raise CheckpointError(f"could not write {path}: {reason}. Nothing was replaced.") from error


def put_json(path: Path, values: Mapping) -> None:
    """Write a json object into a directory of `atomic_checkpoint`."""
    text = json.dumps(dict(values), indent=2, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")

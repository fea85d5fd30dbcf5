"""Writers that replace checkpoints as a whole.

Files are written and flushed in a hidden directory beside their destination and then moved into
place one by one. When anything fails, a full disk or Ctrl-C included, what was there before is
there again. A single file (safetensors) is old or new at every moment, even if the process is
killed. Of several files (a TensorFlow bundle, weights with their config), a process killed between
the moves may leave new and old ones side by side; the index of a bundle moves last, and TensorFlow
then refuses the tensors by their checksums rather than return wrong numbers.

Tensors may be `Lazy`. A safetensors file takes one of them at a time; TensorFlow writes a shard
from memory.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bert4keras.checkpoints.errors import CRC_KEY, CheckpointError, crc32_start
from bert4keras.checkpoints.lazy import Lazy
from bert4keras.checkpoints.safetensors_reader import DTYPES

# bfloat16, foreign to numpy, has its own branch.
CODES = {np.dtype(layout): code for code, layout in DTYPES.items() if code != "BF16"}
TENSORFLOW_SHARD = 10**9  # bytes in memory while TensorFlow writes, unless the caller says


@contextmanager
def replacing(directory: str | Path, checkpoint: str | None = None) -> Iterator[Path]:
    """Write files in the yielded directory; on leaving, all move to `directory`, or none.

    They move in the order of their names, the index of a bundle last.

    Args:
        directory: destination; made if absent.
        checkpoint: name of the checkpoint that is written as a whole: its old files which have no
            successor, such as shards, are removed.
    """
    directory = Path(directory)
    absent = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=directory))
    try:
        yield staging
        files = [path for path in staging.iterdir() if path.is_file()]
        files.sort(key=lambda path: (path.suffix == ".index", path.name))
        usual = staging / "usual"
        usual.touch()  # some libraries write files that only their owner may read
        for path in files:
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
            old = directory / path.name
            path.chmod((old if old.exists() else usual).stat().st_mode & 0o777)
        backups = staging / "previous"
        backups.mkdir()
        new = {path.name for path in files}
        outdated = [p for p in directory.iterdir() if p.name not in new and _is_of(checkpoint, p)]
        moves = [(path, directory / path.name) for path in files]
        _move_all(moves + [(None, path) for path in outdated], backups)
        absent = False
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if absent:
            with suppress(OSError):
                directory.rmdir()


def _is_of(checkpoint: str | None, path: Path) -> bool:
    """Whether a file is one of those under which the writers below keep that checkpoint."""
    if checkpoint is None:
        return False
    stem = re.escape(checkpoint.removesuffix(".safetensors"))
    if checkpoint.endswith(".safetensors"):
        pattern = rf"{stem}(-\d{{5}}-of-\d{{5}})?\.safetensors|{stem}\.safetensors\.index\.json"
    else:
        pattern = rf"{stem}\.(index|data-\d{{5}}-of-\d{{5}})"
    return re.fullmatch(pattern, path.name) is not None and path.is_file()


def _move_all(moves: list[tuple[Path | None, Path]], backups: Path) -> None:
    """Move files onto targets; a target of None goes away. All or nothing."""
    done = []
    try:
        for path, target in moves:
            backup = backups / target.name
            if target.exists():
                _keep(target, backup)
            done.append((target, backup))
            if path is None:
                target.unlink()
            else:
                os.replace(path, target)
    except BaseException:
        for target, backup in done:
            if backup.exists():
                os.replace(backup, target)
            else:
                target.unlink(missing_ok=True)
        raise


def _keep(target: Path, backup: Path) -> None:
    try:
        os.link(target, backup)  # costs nothing, and the target never vanishes
    except OSError:
        shutil.copy2(target, backup)


def write_safetensors(
    path: str | Path,
    tensors: Mapping[str, np.ndarray | Lazy],
    metadata: Mapping[str, str] | None = None,
    max_shard_size: int | None = None,
) -> list[Path]:
    """Write a `.safetensors` file with a checksum of every tensor in its metadata.

    Args:
        path: the file; replaced atomically, together with shards that it had.
        tensors: by name; lazy ones are made one at a time.
        metadata: more text to keep; `format: pt` is always there, since transformers asks for it.
        max_shard_size: bytes of tensors above which `path` is split into files
            `stem-00001-of-00003.safetensors` and an index `path.index.json`; None never splits.

    Returns:
        The files written, the index first.

    Raises:
        CheckpointError: the file could not be written; the old one is intact.
    """
    path = Path(path)
    notes = {"format": "pt", **(metadata or {})}
    shards = _shards(tensors, max_shard_size)
    names = [path.name]
    if len(shards) > 1:
        count = len(shards)
        names = [f"{path.stem}-{k:05d}-of-{count:05d}.safetensors" for k in range(1, count + 1)]
    with _writing(path), replacing(path.parent, path.name) as staging:
        for name, shard in zip(names, shards, strict=True):
            with open(staging / name, "wb") as file:
                _write_file(file, shard, notes)
        if len(shards) > 1:
            index = {
                "metadata": {"total_size": sum(t.nbytes for s in shards for t in s.values())},
                "weight_map": {t: n for n, s in zip(names, shards, strict=True) for t in s},
            }
            write_json(staging / f"{path.name}.index.json", index)
            names.insert(0, f"{path.name}.index.json")
    return [path.with_name(name) for name in names]


def _shards(tensors: Mapping[str, np.ndarray | Lazy], limit: int | None) -> list[dict[str, Lazy]]:
    """The tensors in the order of their names, divided into groups of at most `limit` bytes.

    A tensor larger than that is alone in its group.
    """
    if limit is not None and limit <= 0:
        raise CheckpointError(f"the size of a shard must be positive, not {limit} bytes")
    shards, size = [{}], 0
    for name in sorted(tensors):
        tensor = Lazy.of(tensors[name])
        if limit is not None and shards[-1] and size + tensor.nbytes > limit:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    return shards


def _write_file(file: BinaryIO, tensors: Mapping[str, Lazy], notes: Mapping[str, str]) -> None:
    """Header, then tensor by tensor; the checksums are filled in at the end."""
    # The order of the library: large items first, so that every tensor begins aligned.
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
    code = "BF16" if dtype.name == "bfloat16" else CODES.get(dtype.newbyteorder("<"))
    if code is None or name == "__metadata__":
        raise CheckpointError(f"a safetensors file cannot hold `{name}` of dtype {dtype}")
    return code


def _header(entries: Mapping, notes: Mapping[str, str], checksums: Mapping[str, int]) -> bytes:
    """Of the same length whatever the checksums are."""
    listed = ",".join(f"{json.dumps(name)}:{value:10d}" for name, value in checksums.items())
    values = {"__metadata__": {**notes, CRC_KEY: f"{{{listed}}}"}, **entries}
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write_tensor(file: BinaryIO, name: str, tensor: Lazy) -> int:
    """Write the data of one tensor; returns its checksum."""
    stored = np.dtype(DTYPES[_code(name, tensor.dtype)])
    array = np.ascontiguousarray(tensor.checked(name)).reshape(-1)
    if tensor.dtype.name != "bfloat16":  # which is kept as its bits
        array = array.astype(stored, copy=False)
    data = array.view(np.uint8)
    file.write(data)
    return zlib.crc32(data, crc32_start(name, stored, tensor.shape))


def write_tensorflow(
    prefix: str | Path,
    tensors: Mapping[str, np.ndarray | Lazy],
    max_shard_size: int | None = None,
) -> list[Path]:
    """Write a name-based TensorFlow checkpoint, `prefix.index` and its data files.

    Args:
        prefix: such as `dir/bert_model.ckpt`.
        tensors: by variable name; lazy ones are made when their data file is written.
        max_shard_size: bytes of tensors per data file, which is as much as is in memory at once;
            None means 1 GB.

    Returns:
        The prefix, in a list.

    Raises:
        CheckpointError: TensorFlow is absent, or the files could not be written; the old ones are
            intact.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise CheckpointError(
            f"writing {prefix} needs TensorFlow, which is not installed. Install it, or save "
            'with format="huggingface".'
        ) from error
    prefix = Path(prefix)
    shards = _shards(tensors, TENSORFLOW_SHARD if max_shard_size is None else max_shard_size)
    failures = _writing(prefix, tf.errors.OpError)
    with failures, replacing(prefix.parent, prefix.name) as staging, tf.device("cpu"):
        parts = [str(staging / f"part-{k}" / prefix.name) for k in range(len(shards))]
        for part, shard in zip(parts, shards, strict=True):
            tf.raw_ops.SaveV2(
                prefix=part,
                tensor_names=list(shard),
                shape_and_slices=[""] * len(shard),
                tensors=[_tensor(t.checked(name)) for name, t in shard.items()],
            )
        tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=parts,
            destination_prefix=str(staging / prefix.name),
            delete_old_dirs=True,
        )
    return [prefix]


def _tensor(array: np.ndarray) -> Any:
    """The array as a TensorFlow tensor; floats stay in their memory, where a conversion takes
    twice as much again.
    """
    import tensorflow as tf

    if array.dtype.kind != "f" or not array.size:
        return tf.convert_to_tensor(array)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return tf.experimental.dlpack.from_dlpack(np.require(native, None, ["C", "W"]).__dlpack__())


@contextmanager
def _writing(path: Path, *errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (OSError, *errors) as error:
        raise CheckpointError(f"could not write {path}: {error}. Nothing was replaced.") from error


def write_json(path: str | Path, values: Mapping) -> None:
    """Write a json object, atomically.

    Raises:
        CheckpointError: the file could not be written; the old one is intact.
    """
    path = Path(path)
    with _writing(path), replacing(path.parent) as staging:
        text = json.dumps(dict(values), indent=2, ensure_ascii=False, sort_keys=True)
        (staging / path.name).write_text(text + "\n", encoding="utf-8")

"""Writers that replace checkpoints as a whole.

Files are written and flushed in a hidden directory beside their destination and then moved into
place one by one. When anything fails, a full disk or Ctrl-C included, what was there before is
there again. A single file (safetensors) is old or new at every moment, even if the process is
killed. Of several files (a TensorFlow bundle, weights with their config), a process killed between
the moves may leave new and old ones side by side; the index of a bundle moves last, and TensorFlow
then refuses the tensors by their checksums rather than return wrong numbers.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bert4keras.checkpoints.errors import CRC_KEY, CheckpointError, crc32


@contextmanager
def replacing(directory: str | Path) -> Iterator[Path]:
    """Write files in the yielded directory; on leaving, all move to `directory`, or none.

    They move in the order of their names, the index of a bundle last.

    Args:
        directory: destination; made if absent.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=directory))
    try:
        yield staging
        files = sorted(staging.iterdir(), key=lambda path: (path.suffix == ".index", path.name))
        usual = staging / "usual"
        usual.touch()  # some libraries write files that only their owner may read
        for path in files:
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
            old = directory / path.name
            path.chmod((old if old.exists() else usual).stat().st_mode & 0o777)
        backups = staging / "previous"
        backups.mkdir()
        _move_all([(path, directory / path.name) for path in files], backups)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _move_all(moves: list[tuple[Path, Path]], backups: Path) -> None:
    done = []
    try:
        for path, target in moves:
            backup = backups / target.name
            if target.exists():
                _keep(target, backup)
            done.append((target, backup))
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
    path: str | Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a `.safetensors` file with a checksum of every tensor in its metadata.

    Args:
        path: the file; replaced atomically.
        tensors: arrays by name.
        metadata: more text to keep; `format: pt` is always there, since transformers asks for it.

    Raises:
        CheckpointError: the file could not be written; the old one is intact.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    path = Path(path)
    arrays = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    checksums = json.dumps({name: crc32(name, array) for name, array in arrays.items()})
    notes = {"format": "pt", **(metadata or {}), CRC_KEY: checksums}
    with _writing(path, SafetensorError), replacing(path.parent) as staging:
        save_file(arrays, str(staging / path.name), metadata=notes)


def write_tensorflow(prefix: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a name-based TensorFlow checkpoint, `prefix.index` and its data file.

    Args:
        prefix: such as `dir/bert_model.ckpt`.
        tensors: arrays by variable name.

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
    names = sorted(tensors)
    failures = _writing(prefix, tf.errors.OpError)
    with failures, replacing(prefix.parent) as staging, tf.device("cpu"):
        tf.raw_ops.SaveV2(
            prefix=str(staging / prefix.name),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tf.convert_to_tensor(tensors[name]) for name in names],
        )


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

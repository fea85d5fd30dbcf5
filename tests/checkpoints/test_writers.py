"""Writers of checkpoints replace the old files atomically."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bert4keras.checkpoints import CheckpointError, open_checkpoint
from bert4keras.checkpoints.writers import atomic_checkpoint, write_safetensors, write_tensorflow

pytestmark = pytest.mark.spread

OLD = {"a": np.arange(4, dtype="float32"), "b": np.ones((2, 3), "float32")}
NEW = {name: array + 10 for name, array in OLD.items()}


def write_file(folder: Path, arrays: dict) -> None:
    write_safetensors(folder / "model.safetensors", arrays)


def write_bundle(folder: Path, arrays: dict) -> None:
    pytest.importorskip("tensorflow", reason="writes TensorFlow checkpoints")
    write_tensorflow(folder / "bert_model.ckpt", arrays)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def fails(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("write", [write_file, write_bundle])
def test_replaced(tmp_path, write):
    for arrays in (OLD, NEW):
        write(tmp_path / "new folder", arrays)
        with open_checkpoint(tmp_path / "new folder") as reader:
            for name, array in arrays.items():
                np.testing.assert_array_equal(reader.read(name), array)
    kinds = {path.name.rpartition(".")[2] for path in (tmp_path / "new folder").iterdir()}
    assert kinds in ({"safetensors"}, {"index", "data-00000-of-00001"})  # nothing temporary is left


@pytest.mark.parametrize("write", [write_file, write_bundle])
@pytest.mark.parametrize("step", ["fsync", "link", "replace"])
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("present", [True, False])
def test_a_failure_leaves_everything_as_it_was(tmp_path, monkeypatch, write, step, after, present):
    if present:
        write(tmp_path, OLD)
    before = contents(tmp_path)
    real, calls = getattr(os, step), []

    def sometimes(*arguments):
        calls.append(arguments)
        return fails() if len(calls) == after + 1 else real(*arguments)

    monkeypatch.setattr(os, step, sometimes)
    files = 1 if write is write_file else 2
    reached = after < files
    if step == "link":  # of several old files only: a single one is replaced in one go
        reached = after < len(before) and files > 1
        monkeypatch.setattr(shutil, "copy2", fails)
    if reached:
        with pytest.raises(CheckpointError, match=r"left on device\. Nothing was replaced"):
            write(tmp_path, NEW)
        assert contents(tmp_path) == before
    else:  # the injected failure lies beyond the last call, so the write must succeed
        write(tmp_path, NEW)
        assert contents(tmp_path) != before


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    write_file(tmp_path, OLD)
    before = contents(tmp_path)
    monkeypatch.setattr(os, "link", fails)
    with atomic_checkpoint(tmp_path) as staging:
        for name in ("model.safetensors", "config.json"):
            (staging / name).write_text("new")
    assert contents(tmp_path) == dict.fromkeys(["config.json", "model.safetensors"], b"new")
    assert contents(tmp_path) != before


def test_interrupted_by_the_user(tmp_path):
    write_file(tmp_path, OLD)
    before = contents(tmp_path)

    def interrupted():
        with atomic_checkpoint(tmp_path) as staging:
            write_file(staging, NEW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert contents(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="limits the file size with POSIX rlimits")
def test_a_disk_that_is_really_full(tmp_path):
    write_file(tmp_path, OLD)
    before = contents(tmp_path)
    code = f"""
import resource, signal
import numpy as np
from bert4keras.checkpoints import CheckpointError
from bert4keras.checkpoints.writers import write_safetensors
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_safetensors({str(tmp_path / "model.safetensors")!r}, {{"a": np.zeros(10_000)}})
except CheckpointError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Nothing was replaced" in run.stdout, run.stderr
    assert contents(tmp_path) == before


def test_new_data_under_an_old_index_is_refused(tmp_path):
    """A process killed between the two moves leaves these files."""
    for name, arrays in (("old", OLD), ("new", NEW)):
        write_bundle(tmp_path / name, arrays)
    data = "bert_model.ckpt.data-00000-of-00001"
    os.replace(tmp_path / "new" / data, tmp_path / "old" / data)
    with open_checkpoint(tmp_path / "old") as reader, pytest.raises(CheckpointError, match="`a`"):
        reader.read("a")


def test_the_target_is_a_directory(tmp_path):
    (tmp_path / "model.safetensors" / "inside").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="could not write"):
        write_file(tmp_path, NEW)
    assert [path.name for path in tmp_path.rglob("*")] == ["model.safetensors", "inside"]


def test_arrays_that_are_not_contiguous(tmp_path):
    array = np.arange(12, dtype="float32").reshape(3, 4)
    write_safetensors(tmp_path / "x.safetensors", {"t": array.T, "s": array[::2, ::-1]})
    with open_checkpoint(tmp_path) as reader:
        np.testing.assert_array_equal(reader.read("t"), array.T)
        np.testing.assert_array_equal(reader.read("s"), array[::2, ::-1])


def test_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    write_file(tmp_path, OLD)
    mode = (tmp_path / "model.safetensors").stat().st_mode
    assert mode == (tmp_path / "plain").stat().st_mode

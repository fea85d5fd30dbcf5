"""Conversion of checkpoints larger than memory: peak memory, shards, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bert4keras.checkpoints import CheckpointError, convert, open_checkpoint, save
from bert4keras.checkpoints.readers import SafetensorsReader
from bert4keras.checkpoints.writers import write_safetensors
from helpers.named_weights import arrays_of, assert_same

pytestmark = pytest.mark.spread

MB = 10**6
LARGEST = 16 * MB
WIDTH = 400
TABLE = "bert.embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A checkpoint of 60 MB, whose largest tensor has 16 MB."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    tensors = {TABLE: rng.standard_normal((LARGEST // 4 // WIDTH, WIDTH), "float32")}
    for i in range(12):
        for part, shape in (("intermediate", (4 * WIDTH, WIDTH)), ("output", (WIDTH, 4 * WIDTH))):
            name = f"bert.encoder.layer.{i}.{part}.dense.weight"
            tensors[name] = rng.standard_normal(shape, "float32")
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def peak(action) -> int:
    """Return the peak of allocated bytes while a function runs."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shard", [None, "20MB", "1MB"])
def test_peak_memory(large, tmp_path, shard):
    def run():
        convert(large, tmp_path / "out", "huggingface", progress=False, max_shard_size=shard)

    assert peak(run) < 1.2 * LARGEST  # not even a shard is kept
    assert_same(arrays_of(tmp_path / "out"), without_root(arrays_of(large)))


def test_half_precision_is_never_twice_in_memory(large, tmp_path):
    halves = {name: array.astype("float16") for name, array in arrays_of(large).items()}
    write_safetensors(tmp_path / "half" / "model.safetensors", halves)
    del halves
    run = lambda: convert(tmp_path / "half", tmp_path / "out", "huggingface", progress=False)  # noqa: E731
    assert peak(run) < 1.2 * LARGEST


def test_the_measure_sees_a_checkpoint_in_memory(large):
    assert peak(lambda: arrays_of(large)) > 3 * LARGEST


MEASURE = """
import sys
from pathlib import Path
import tensorflow
from bert4keras.checkpoints import convert

def memory(key):
    return int(Path("/proc/self/status").read_text().split(key)[1].split()[0]) * 1024

source, destination, format, shard, warm = sys.argv[1:]
convert(warm, destination + "-warm", format, progress=False)  # what is loaded on first use
Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
before = memory("VmRSS:")
convert(source, destination, format, progress=False, max_shard_size=shard)
print(memory("VmHWM:") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures as Linux does")
def test_peak_memory_of_the_process_on_the_way_to_tensorflow_and_back(large, tmp_path, model):
    pytest.importorskip("tensorflow", reason="converts TensorFlow checkpoints")
    save(model, tmp_path / "warm")
    save(model, tmp_path / "warm-tf", format="google")

    def run(source: Path, destination: str, format: str, warm: str) -> int:
        arguments = [source, tmp_path / destination, format, f"{LARGEST}B", tmp_path / warm]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *map(str, arguments)],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    bound = 1.2 * LARGEST + LARGEST  # of the tensor and of a shard
    assert run(large, "google", "google", "warm") < bound
    assert len(list((tmp_path / "google").glob("*.data-*"))) > 3
    assert run(tmp_path / "google", "back", "huggingface", "warm-tf") < bound
    assert_same(arrays_of(tmp_path / "back"), without_root(arrays_of(large)))


def without_root(arrays: dict) -> dict:
    """Rename the tensors to those of an encoder without a head."""
    return {name.removeprefix("bert."): array for name, array in arrays.items()}


def test_shards_and_their_index(tmp_path, stored):
    size = sum(array.nbytes for array in stored.values())
    done = convert(stored, tmp_path / "x", "huggingface", progress=False, max_shard_size="1kB")
    assert done.files[0].name == "model.safetensors.index.json"
    index = json.loads(done.files[0].read_text())
    assert index["metadata"] == {"total_size": size}
    shards = sorted(set(index["weight_map"].values()))
    assert shards[0] == f"model-00001-of-{len(shards):05d}.safetensors"
    assert len(shards) == len(done.files) - 1 > 3
    for shard in shards:
        tensors = arrays_of(tmp_path / "x" / shard)
        assert len(tensors) == 1 or sum(array.nbytes for array in tensors.values()) <= 1000
        assert all(index["weight_map"][name] == shard for name in tensors)
    assert_same(arrays_of(tmp_path / "x"), stored)


@pytest.mark.parametrize("format", ["huggingface", "google"])
def test_fewer_shards_leave_none_of_the_old(tmp_path, stored, format):
    if format == "google":
        pytest.importorskip("tensorflow", reason="writes TensorFlow checkpoints")

    def run(size):
        convert(stored, tmp_path, format, progress=False, overwrite=True, max_shard_size=size)
        return {path.name for path in tmp_path.iterdir() if path.is_file()}

    (tmp_path / "model-of-mine.txt").write_text("stays")
    many, few, one = run("500B"), run("1kB"), run(None)
    assert len(many) > len(few) > len(one)
    assert "model-of-mine.txt" in one
    weights = one - {"model-of-mine.txt"}
    assert len(weights) == (1 if format == "huggingface" else 2)
    with open_checkpoint(tmp_path) as reader:
        assert len(reader.names) == len(stored)


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [("500MB", 5e8), ("2GiB", 2**31), ("1.5kb", 1500), ("10 M", 1e7), ("7", 7), (7, 7)],
)
def test_sizes(size, bytes_):
    from bert4keras.checkpoints.convert import _bytes

    assert _bytes(size) == bytes_


@pytest.mark.parametrize("size", ["many", "-1MB", "MB", "1PB", 0, -5])
def test_wrong_sizes(tmp_path, stored, size):
    with pytest.raises(CheckpointError, match=r"is no size|must be positive"):
        convert(stored, tmp_path / "x", "huggingface", progress=False, max_shard_size=size)
    assert not (tmp_path / "x").exists()


@pytest.fixture
def old(tmp_path, other) -> Path:
    """A destination that holds a checkpoint with its config and vocabulary."""
    folder = tmp_path / "old"
    save(other, folder, config={"a": 1})
    (folder / "vocab.txt").write_text("old")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.iterdir()) if path.is_file())
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, CheckpointError])
def test_interrupted(tmp_path, model, old, monkeypatch, error):
    source = tmp_path / "source"
    save(model, source, config={"b": 2})
    (source / "vocab.txt").write_text("new")
    before, calls, read = contents(old), [], SafetensorsReader.read

    def interrupted(self, name):
        calls.append(name)
        if len(calls) == 20:
            raise error("now")
        return read(self, name)

    monkeypatch.setattr(SafetensorsReader, "read", interrupted)
    with pytest.raises(error):
        convert(source, old, "huggingface", progress=False, overwrite=True, max_shard_size=500)
    assert contents(old) == before
    assert [path.name for path in old.iterdir() if path.is_dir()] == []
    convert(source, old, "huggingface", progress=False, overwrite=True)  # negative control
    new = contents(old)
    assert new.keys() == before.keys()
    for name in ("model.safetensors", "vocab.txt"):
        assert new[name] == contents(source)[name] != before[name]


def test_a_failure_beside_the_weights(tmp_path, model, old, monkeypatch):
    save(model, tmp_path / "source")
    (tmp_path / "source" / "vocab.txt").write_text("new")
    before = contents(old)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(CheckpointError, match=r"could not write .*No space left"):
        convert(tmp_path / "source", old, "huggingface", progress=False, overwrite=True)
    assert contents(old) == before


KILLED = """
import os, signal, sys
from bert4keras.checkpoints import convert
from bert4keras.checkpoints.readers import SafetensorsReader
read, calls = SafetensorsReader.read, []
def fatal(self, name):
    calls.append(name)
    if len(calls) == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(self, name)
SafetensorsReader.read = fatal
convert(*sys.argv[1:], overwrite=True, progress=False)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
def test_killed(tmp_path, model, old):
    source = tmp_path / "source"
    save(model, source)
    before = contents(old)
    command = [sys.executable, "-c", KILLED, str(source), str(old), "huggingface"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert contents(old) == before
    assert_same(arrays_of(old), arrays_of(old / "model.safetensors"))  # debris is not in the way
    convert(source, old, "huggingface", overwrite=True, progress=False)
    assert_same(arrays_of(old), arrays_of(source))


def test_the_config_decides_between_families_with_the_same_names(tmp_path, model):
    from bert4keras.checkpoints import TABLES, register_tables

    save(model, tmp_path / "source", config={"model_type": "twin"})
    register_tables("twin", TABLES["bert"])
    try:
        convert(tmp_path / "source", tmp_path / "out", "huggingface", progress=False)
    finally:
        del TABLES["twin"]
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {"model_type": "twin"}

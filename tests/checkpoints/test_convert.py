"""Conversion without a model, and its command."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import convert_checkpoint
from bert4keras import build_transformer_model
from bert4keras.checkpoints import CheckpointError, convert, load, open_checkpoint, save
from bert4keras.tokenizers import Tokenizer, used_tokens
from helpers.named_weights import assert_same

pytestmark = pytest.mark.spread

TOKENIZER = Path(__file__).parents[1] / "fixtures" / "tokenizers" / "xlm_roberta_json"

pytest.importorskip("tensorflow", reason="converts TensorFlow checkpoints")


@pytest.fixture
def source(tmp_path, model):
    """A Hugging Face directory with config and vocabulary beside the weights."""
    folder = tmp_path / "source"
    save(model, folder, config={"hidden_size": 6, "layer_norm_eps": 1e-7})
    (folder / "vocab.txt").write_text("[PAD]\n好\n", encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_there_and_back(tmp_path, source, model, other):
    done = convert(source, tmp_path / "google", "google", progress=False)
    names = {path.name for path in done.files}
    assert names == {"bert_model.ckpt", "bert_config.json", "vocab.txt"}
    assert done.tensors["cls.seq_relationship.weight"] == "cls/seq_relationship/output_weights"
    load(other, tmp_path / "google")
    for left, right in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(left, right)
    config = json.loads((tmp_path / "google" / "bert_config.json").read_text())
    assert config == {"hidden_size": 6, "layer_norm_eps": 1e-7}

    back = convert(tmp_path / "google", tmp_path / "back", "huggingface", progress=False)
    assert not back.ignored
    assert not back.unexpected
    left, right = (load_file(f / "model.safetensors") for f in (source, tmp_path / "back"))
    assert_same(left, right)
    config = json.loads((tmp_path / "back" / "config.json").read_text())
    assert config["model_type"] == "bert"
    assert config["architectures"] == ["BertForPreTraining"]
    assert (tmp_path / "back" / "vocab.txt").read_bytes() == (source / "vocab.txt").read_bytes()


def test_same_format_renews_names_and_shards(tmp_path, source):
    arrays = load_file(source / "model.safetensors")
    save_file({f"module.{n}": a for n, a in arrays.items()}, source / "model.safetensors")
    done = convert(source, tmp_path / "out", "huggingface", progress=False)
    assert_same(load_file(tmp_path / "out" / "model.safetensors"), arrays)
    assert (tmp_path / "out" / "tokenizer.json") in done.files


@pytest.mark.parametrize(
    ("drop", "architecture"), [("cls", "BertModel"), ("cls.seq", "BertForMaskedLM")]
)
def test_architecture_named_in_the_config(tmp_path, source, drop, architecture):
    path = source / "model.safetensors"
    kept = {n: a for n, a in load_file(path).items() if not n.startswith(drop)}
    save_file(kept, path)
    convert(source, tmp_path / "out", "huggingface", progress=False)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == [architecture]


def test_a_dict_to_explicit_files(tmp_path, source):
    arrays = load_file(source / "model.safetensors")
    for name, format in (("x.safetensors", "huggingface"), ("x.ckpt", "google")):
        done = convert(arrays, tmp_path / "out" / name, format, progress=False)
        assert done.files == (tmp_path / "out" / name,)
        with open_checkpoint(done.files[0]) as reader:
            assert len(reader.names) == len(arrays)
        with pytest.raises(CheckpointError, match="exists; pass --force"):
            convert(arrays, tmp_path / "out" / name, format, progress=False)


def test_command(tmp_path, source, capsys):
    arrays = load_file(source / "model.safetensors")
    arrays |= {"adapter.w": np.ones(2, "float32"), "bert.embeddings.position_ids": np.arange(7)}
    save_file(arrays, source / "model.safetensors")
    command = [str(source), str(tmp_path / "out"), "--format", "google"]
    assert convert_checkpoint.main(command) == 0
    captured = capsys.readouterr()
    assert f"wrote {tmp_path / 'out' / 'bert_model.ckpt'}" in captured.out
    assert "left out: adapter.w (UNKNOWN to every table)" in captured.out
    assert "left out: bert.embeddings.position_ids (constant" in captured.out
    assert "converting" in captured.err  # the bar

    before = (tmp_path / "out" / "vocab.txt").stat().st_mtime_ns
    assert convert_checkpoint.main(command) == 1
    assert "exists; pass --force" in capsys.readouterr().err
    assert (tmp_path / "out" / "vocab.txt").stat().st_mtime_ns == before
    assert convert_checkpoint.main([*command, "--force"]) == 0
    with pytest.raises(SystemExit):
        convert_checkpoint.main([str(source), "x", "--format", "onnx"])


def test_an_empty_directory_is_not_in_the_way(tmp_path, source):
    (tmp_path / "out").mkdir()
    convert(source, tmp_path / "out", "huggingface", progress=False)


@pytest.mark.parametrize("damage", ["config", "rank", "format", "absent"])
def test_bad_input_leaves_no_destination(tmp_path, source, damage):
    format, message = (
        "google",
        {
            "config": "is not a json file",
            "rank": r"`MLM-Dense/kernel` from `cls.predictions.transform.dense.weight`: .* matrix",
            "format": "unknown format 'onnx'",
            "absent": "does not exist",
        }[damage],
    )
    if damage == "config":
        (source / "config.json").write_text("{")
    elif damage == "rank":
        arrays = load_file(source / "model.safetensors")
        arrays["cls.predictions.transform.dense.weight"] = np.zeros(3, "float32")
        save_file(arrays, source / "model.safetensors")
    elif damage == "format":
        format = "onnx"
    else:
        shutil.rmtree(source)
    with pytest.raises(CheckpointError, match=message):
        convert(source, tmp_path / "out", format, progress=False)
    assert not (tmp_path / "out").exists()


def test_a_smaller_vocabulary(tmp_path):
    """Rows, ids of the config and tokenizer change together; the other weights do not."""
    texts, whole = ["the storm came", "北京"], Tokenizer.from_pretrained(TOKENIZER)
    config = {"model_type": "bert", "vocab_size": whole.vocab_size, "hidden_size": 8}
    config |= {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config |= {"pad_token_id": whole.pad_token_id, "eos_token_id": [whole.sep_token_id]}
    bert, source, small = build_transformer_model(config), tmp_path / "source", tmp_path / "small"
    save(bert, source / "inner")
    whole.save(source / "inner")
    settings = source / "inner" / "tokenizer_config.json"
    settings.write_text(
        json.dumps({**json.loads(settings.read_text()), "model_max_length": 64, "other": 1})
    )
    modules = [{"path": "inner", "type": "a.Transformer"}, {"path": "1_Pooling", "type": "a.P"}]
    (source / "modules.json").write_text(json.dumps(modules))
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text("{}")

    keep = functools.partial(used_tokens, texts=texts)
    done = convert(source, small, "huggingface", progress=False, keep_tokens=keep)
    assert {small / "1_Pooling" / "config.json", small / "modules.json"} < set(done.files)
    assert [module["path"] for module in json.loads((small / "modules.json").read_text())] == [
        "",
        "1_Pooling",
    ]
    settings = json.loads((small / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == 64
    assert "other" not in settings
    tokenizer, model = Tokenizer.from_pretrained(small), build_transformer_model(small)
    assert model.config.vocab_size == tokenizer.vocab_size < whole.vocab_size
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert model.config.extra["eos_token_id"] == [tokenizer.sep_token_id]
    for text in texts:
        old, new = (t.encode(text) for t in (whole, tokenizer))
        assert old[0] != new[0]
        states = [
            m.predict([np.array([i]) for i in ids], verbose=0)
            for m, ids in ((bert, old), (model, new))
        ]
        np.testing.assert_allclose(*states, atol=1e-6)

    with pytest.raises(CheckpointError, match="keep_tokens needs another destination than"):
        convert(small, small, "huggingface", overwrite=True, keep_tokens=keep)
    with pytest.raises(CheckpointError, match="these are arrays in memory"):
        convert({}, tmp_path / "no", "huggingface", keep_tokens=keep)
    with pytest.raises(ValueError, match=r"keep_tokens has ids that no token has: \[9999\]"):
        convert(source, tmp_path / "no", "huggingface", keep_tokens=[9999])

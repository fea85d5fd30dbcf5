"""`load` and `save`: round trips, and reports that account for every tensor."""

from __future__ import annotations

import json
import logging

import keras
import numpy as np
import pytest

from bert4keras.checkpoints import (
    TABLES,
    CheckpointError,
    WeightMap,
    WeightTable,
    convert,
    load,
    register_tables,
    save,
    slice_of,
)
from bert4keras.checkpoints.writers import write_safetensors
from bert4keras.registry import all_tables
from helpers.named_weights import (
    Bag,
    Sizes,
    arrays_of,
    assert_same,
    bag,
    values,
    weight_shapes,
)

pytestmark = pytest.mark.spread

FORMATS = ("huggingface", "google")


def needs(format: str) -> None:
    if format == "google":
        pytest.importorskip("tensorflow", reason="writes TensorFlow checkpoints")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("sizes", [{}, {"heads": False}, {"embedding": 4, "segments": 0}])
def test_save_then_load_gives_every_byte_back(tmp_path, format, sizes):
    needs(format)
    source, target = bag(0, **sizes), bag(1, **sizes)
    assert not np.array_equal(source.weights[0], target.weights[0])  # negative control
    save(source, tmp_path, format=format)
    report = load(target, tmp_path)
    assert_same(values(target), values(source))
    assert set(report.loaded) == set(values(source))
    rest = (report.missing, report.unexpected, report.unused, report.ignored, report.untouched)
    assert not any(rest)


def test_google_checkpoint_as_tensorflow_reads_it(tmp_path, model):
    tf = pytest.importorskip("tensorflow", reason="writes TensorFlow checkpoints")
    files = save(model, tmp_path / "my.ckpt", format="google", config={"hidden_size": 6})
    assert files == [tmp_path / "my.ckpt", tmp_path / "bert_config.json"]
    reader = tf.train.load_checkpoint(str(tmp_path / "my.ckpt"))
    ours = values(model)
    assert len(reader.get_variable_to_shape_map()) == len(ours)
    kernel = reader.get_tensor("bert/encoder/layer_1/intermediate/dense/kernel")
    assert kernel.tobytes() == ours["Transformer-1-FeedForward/inner/kernel"].tobytes()
    weights = reader.get_tensor("cls/seq_relationship/output_weights")
    assert weights.shape == (2, 6)
    np.testing.assert_array_equal(weights, ours["NSP-Proba/kernel"].T)


@pytest.mark.parametrize("heads", [True, False])
def test_hugging_face_checkpoint(tmp_path, heads):
    model = bag(heads=heads)
    files = save(model, tmp_path, config={"model_type": "bert", "名": 1})
    assert files == [tmp_path / "model.safetensors", tmp_path / "config.json"]
    assert json.loads((tmp_path / "config.json").read_text("utf-8")) == {
        "model_type": "bert",
        "名": 1,
    }
    arrays = arrays_of(tmp_path)
    name = "encoder.layer.1.intermediate.dense.weight"
    # An encoder without a head is a BertModel, whose names have no prefix.
    assert name not in arrays if heads else name in arrays
    kernel = arrays["bert." + name if heads else name]
    np.testing.assert_array_equal(kernel, values(model)["Transformer-1-FeedForward/inner/kernel"].T)


def test_saving_over_a_checkpoint_that_fails_keeps_it(tmp_path, model, other, monkeypatch):
    save(model, tmp_path, config={"a": 1})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(TypeError):  # found while the config is written, after the weights
        save(other, tmp_path, config={"a": object()})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("prefix", ["module.", "model.", ""])
def test_other_spellings(model, other, stored, prefix):
    renamed = {
        prefix + name.replace("LayerNorm.weight", "LayerNorm.gamma"): array.astype("float16")
        for name, array in stored.items()
    }
    load(model, renamed)
    for path, array in values(other).items():
        np.testing.assert_array_equal(values(model)[path], array.astype("float16"), err_msg=path)


def test_a_damaged_tensor_is_named(model, stored):
    stored["cls.predictions.bias"][3] = np.nan
    message = "while loading `MLM-Bias/bias` from `cls.predictions.bias`.*NaN"
    with pytest.raises(CheckpointError, match=message):
        load(model, stored)


def test_frozen_layers_load(model, other, stored):
    model.trainable = False
    load(model, stored)
    assert_same(values(model), values(other))


def test_the_report_accounts_for_everything(stored, caplog):
    shapes = weight_shapes(Sizes(heads=False)) | {"classifier/kernel": (6, 3)}
    model = Bag(shapes)
    stored["embeddings.position_ids"] = np.arange(7)[None]
    stored["adapter.weight"] = np.zeros(3, "float32")
    with caplog.at_level(logging.WARNING):
        report = load(model, stored)
    assert "unexpected `adapter.weight`" in caplog.text
    assert report.untouched == ("classifier/kernel",)
    assert report.unexpected == ("adapter.weight",)
    assert report.ignored == {"embeddings.position_ids": "constant 0, 1, 2, ..."}
    assert len(report.unused) == 9
    assert "cls.seq_relationship.weight" in report.unused
    assert set(report.loaded) == set(weight_shapes(Sizes(heads=False)))
    everything = {*report.loaded.values(), *report.unused, *report.unexpected, *report.ignored}
    assert everything == set(stored)
    text = str(report)
    assert "unused         9" in text
    assert "`adapter.weight`" in text
    assert max(map(len, text.splitlines())) < 300


def test_tied_tensors(model, stored):
    embeddings = stored["bert.embeddings.word_embeddings.weight"]
    stored["cls.predictions.decoder.weight"] = embeddings.copy()
    stored["cls.predictions.decoder.bias"] = stored.pop("cls.predictions.bias")
    report = load(model, stored)
    assert report.ignored == {"cls.predictions.decoder.weight": "tied copy of the word embeddings"}
    assert report.loaded["MLM-Bias/bias"] == "cls.predictions.decoder.bias"
    stored["cls.predictions.decoder.weight"][0, 0] += 1
    with pytest.raises(CheckpointError, match=r"`cls.predictions.decoder.weight` should equal"):
        load(model, stored)


def test_an_untied_head_does_not_matter_to_a_model_without_one(stored):
    stored["cls.predictions.decoder.weight"] = np.zeros((11, 6), "float32")
    load(bag(heads=False), stored)


def test_a_head_is_not_saved_unless_told(tmp_path):
    model = Bag(weight_shapes() | {"classifier/kernel": (6, 3)})
    with pytest.raises(CheckpointError, match="has no name for `classifier/kernel`"):
        save(model, tmp_path)
    assert not list(tmp_path.iterdir())
    save(model, tmp_path, ignore="classifier/*")
    assert len(arrays_of(tmp_path)) == len(weight_shapes())
    save(model, tmp_path, ignore=["classifier/*", "MLM-*", "NSP-*"])
    assert "pooler.dense.bias" in arrays_of(tmp_path)


def test_unknown_format(tmp_path, model):
    with pytest.raises(CheckpointError, match="unknown format 'onnx'; known formats: google, hug"):
        save(model, tmp_path, format="onnx")


def dense_model(width: int = 4) -> keras.Model:
    inputs = keras.Input((width,))
    return keras.Model(inputs, keras.layers.Dense(width, name="Pooler-Dense")(inputs))


@pytest.mark.parametrize("change", ["int8", "lora"])
def test_quantized_or_lora_weights_are_not_saved_as_if_they_were_plain(tmp_path, change):
    model = dense_model()
    stored = {"pooler.dense.weight": np.eye(4), "pooler.dense.bias": np.zeros(4)}
    if change == "int8":
        model.get_layer("Pooler-Dense").quantize("int8")
        with pytest.raises(CheckpointError, match="`Pooler-Dense/kernel` is int8: load before"):
            load(model, stored)
        with pytest.raises(CheckpointError, match=r"is int8: save before"):
            save(model, tmp_path, ignore="*_scale")
    else:
        model.get_layer("Pooler-Dense").enable_lora(2)
        load(model, stored)
    with pytest.raises(CheckpointError, match="must be merged first"):
        save(model, tmp_path)


@pytest.mark.parametrize("policy", ["bfloat16", "float16", "mixed_bfloat16"])
def test_half_precision_models(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model, again = dense_model(), dense_model()
    finally:
        keras.config.set_dtype_policy("float32")
    save(model, tmp_path)
    load(again, tmp_path)
    for left, right in zip(model.weights, again.weights, strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(keras.ops.cast(left, "float32")),
            keras.ops.convert_to_numpy(keras.ops.cast(right, "float32")),
        )


# A family that keeps queries, keys and values in one tensor, as GPT-2 does.
FUSED = WeightTable(
    "fused",
    tuple(
        WeightMap(f"Block-{{i}}/{name}/{variable}", f"h.{{i}}.attn.{variable}", slice_of(k, 3, -1))
        for k, name in enumerate(("query", "key", "value"))
        for variable in ("kernel", "bias")
    ),
    format="huggingface",
    root="h",
)


@pytest.fixture
def fused_family():
    register_tables("fused", [FUSED])
    yield
    del TABLES["fused"]


@pytest.mark.usefixtures("fused_family")
def test_a_registered_family_with_a_fused_tensor(tmp_path):
    assert FUSED in all_tables()
    shapes = {}
    for name in ("query", "key", "value"):
        shapes |= {f"Block-1/{name}/kernel": (4, 2), f"Block-1/{name}/bias": (2,)}
    source, target = Bag(shapes), Bag(shapes, seed=1)
    save(source, tmp_path)
    arrays = arrays_of(tmp_path)
    assert {name: array.shape for name, array in arrays.items()} == {
        "1.attn.kernel": (4, 6),
        "1.attn.bias": (6,),
    }
    convert(tmp_path, tmp_path / "again", "huggingface", progress=False)
    assert_same(arrays_of(tmp_path / "again"), arrays)
    report = load(target, tmp_path)
    assert report.table == "fused"
    assert not report.unused
    assert_same(values(target), values(source))
    arrays["1.attn.bias"] = np.zeros(7, "float32")
    with pytest.raises(CheckpointError, match="no 3 equal slices along axis -1"):
        load(target, arrays)
    with pytest.raises(CheckpointError, match="cannot be built from"):
        save(source, tmp_path, ignore="*/key/*")


def test_progress(model, stored, capsys):
    load(model, stored, progress=True)
    assert "loading" in capsys.readouterr().err
    load(model, stored)
    assert capsys.readouterr().err == ""


def test_safetensors_metadata_is_what_transformers_asks_for(tmp_path, model):
    from safetensors import safe_open

    save(model, tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", "np") as file:
        assert file.metadata()["format"] == "pt"
    write_safetensors(tmp_path / "y.safetensors", {"a": np.zeros(1)}, {"note": "kept"})
    with safe_open(tmp_path / "y.safetensors", "np") as file:
        assert file.metadata()["note"] == "kept"

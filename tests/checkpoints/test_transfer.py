"""`load` and `save`: total accounting, round trips, vocabulary surgery."""

from __future__ import annotations

import json
import logging

import keras
import numpy as np
import pytest

from bert4keras.checkpoints import (
    TABLES,
    CheckpointError,
    Row,
    Table,
    load,
    open_checkpoint,
    part,
    register_tables,
    save,
    write_safetensors,
)
from bert4keras.checkpoints.tables import all_tables
from helpers.named_weights import Bag, Sizes, assert_same, values, weight_shapes

FORMATS = ("huggingface", "google")


def bag(seed: int = 0, **sizes) -> Bag:
    return Bag(weight_shapes(Sizes(**sizes)), seed)


def arrays_of(path) -> dict[str, np.ndarray]:
    with open_checkpoint(path) as reader:
        return {name: reader.read(name) for name in reader.names}


def needs(format: str) -> None:
    if format == "google":
        pytest.importorskip("tensorflow", reason="writes TensorFlow checkpoints")


@pytest.fixture
def stored(tmp_path, other) -> dict[str, np.ndarray]:
    """A Hugging Face state dict of `other`."""
    save(other, tmp_path / "stored")
    return arrays_of(tmp_path / "stored")


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
    # An encoder alone is a BertModel, whose names have no prefix.
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


@pytest.mark.parametrize("change", ["missing", "shape", "transposed", "rank"])
def test_what_does_not_fit_is_refused_and_nothing_is_assigned(model, stored, change):
    before = values(model)
    name = "bert.encoder.layer.1.intermediate.dense.weight"
    array = stored.pop(name)
    if change == "missing":
        stored["bert.encoder.layer.1.intermediate.dense.w"] = array
    else:
        stored[name] = {"shape": array[:-1], "transposed": array.T, "rank": array[0]}[change]
    with pytest.raises(CheckpointError) as caught:
        load(model, stored)
    message = str(caught.value)
    assert "`Transformer-1-FeedForward/inner/kernel`" in message
    assert f"`{name}`" in message
    if change == "missing":
        assert "Not known instead: `bert.encoder.layer.1.intermediate.dense.w`" in message
    elif change != "rank":
        assert "(6, 10)" in message
        assert str(stored[name].shape) in message
    assert_same(values(model), before)

    for pattern in ("Transformer-1-FeedForward/inner/*", "*.1.intermediate.dense.weight"):
        report = load(model, stored, ignore=pattern)
        assert report.missing == ("Transformer-1-FeedForward/inner/kernel",)
    after = values(model)
    for path in before:
        kept = path == "Transformer-1-FeedForward/inner/kernel"
        assert np.array_equal(after[path], before[path]) == kept, path
    with pytest.raises(CheckpointError, match="does not fit"):
        load(model, stored, ignore=["MLM-*"])


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


KEEP = [0, 5, 5, 2]


def test_keep_and_compound_tokens(stored):
    compounds = [[1, 3], ([0, 1, 2], [1.0, 1.0, 2.0]), [2]]
    model = bag(vocab=7)
    report = load(model, stored, keep_tokens=np.array(KEEP), compound_tokens=compounds)
    assert set(report.reshaped) == {"Embedding-Token/embeddings", "MLM-Bias/bias"}
    pairs = {
        "Embedding-Token/embeddings": "bert.embeddings.word_embeddings.weight",
        "MLM-Bias/bias": "cls.predictions.bias",
    }
    for ours, theirs in pairs.items():
        kept = stored[theirs][KEEP].astype("float64")
        expected = [*kept, (kept[1] + kept[3]) / 2, kept[:3].T @ [0.25, 0.25, 0.5], kept[2]]
        np.testing.assert_allclose(values(model)[ours], expected, rtol=1e-6)
        np.testing.assert_array_equal(values(model)[ours][:4], stored[theirs][KEEP])
        np.testing.assert_array_equal(values(model)[ours][6], stored[theirs][5])


def test_compound_tokens_alone(stored):
    model = bag(vocab=12)
    load(model, stored, compound_tokens=[[10]])
    bias = stored["cls.predictions.bias"]
    np.testing.assert_array_equal(values(model)["MLM-Bias/bias"], [*bias, bias[10]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep_tokens": [0, 11]}, "names token 11, but the checkpoint has only tokens 0 to 10"),
        ({"keep_tokens": [-1]}, "names token -1"),
        ({"keep_tokens": []}, "must be a list of token ids"),
        ({"keep_tokens": [0.5]}, "must be a list of token ids"),
        ({"keep_tokens": 3}, "must be a list of token ids"),
        (
            {"keep_tokens": [0, 1], "compound_tokens": [[0], [2]]},
            r"compound_tokens\[1\] names token 2, but keep_tokens leave only tokens 0 to 1",
        ),
        ({"compound_tokens": [[]]}, r"compound_tokens\[0\] must be a list"),
        ({"compound_tokens": [([1, 2], [1.0])]}, "2 ids need as many weights"),
        ({"compound_tokens": [([1, 2], [1.0, -1.0])]}, "not a sum of 0"),
        ({"compound_tokens": [([1], [np.nan])]}, "1 ids need as many weights"),
        ({"keep_tokens": [0, 1]}, r"model has \(11, 6\).*Set vocab_size=2"),
    ],
)
def test_wrong_token_ids(model, stored, arguments, message):
    before = values(model)
    with pytest.raises(CheckpointError, match=message):
        load(model, stored, **arguments)
    assert_same(values(model), before)


def test_another_vocabulary_needs_keep_tokens(stored):
    with pytest.raises(
        CheckpointError, match=r"Set vocab_size=11, or choose rows with keep_tokens"
    ):
        load(bag(vocab=5), stored)


def test_names_that_no_table_knows(model):
    arrays = {f"layers.{k}.w": np.zeros(1, "float32") for k in range(7)}
    with pytest.raises(CheckpointError, match=r"`layers.4.w` and 2 more, which no table knows"):
        load(model, arrays)
    with pytest.raises(CheckpointError, match="which no table knows"):
        load(model, {})


def test_one_tensor_under_two_names(model, stored):
    stored["module.cls.predictions.bias"] = stored["cls.predictions.bias"]
    with pytest.raises(CheckpointError, match=r"both mean `cls.predictions.bias`"):
        load(model, stored)


def test_models_that_have_none_of_our_weights(stored):
    with pytest.raises(CheckpointError, match=r"no weight that .* knows.*`dense/kernel`"):
        load(Bag({"dense/kernel": (2, 2)}), stored)
    with pytest.raises(CheckpointError, match="build it first"):
        load(keras.Sequential([keras.layers.Dense(2)]), stored)


class Two(keras.Model):
    def __init__(self, first, second):
        super().__init__()
        self.parts = [first, second]


def test_two_encoders_in_one_model(tmp_path, model, other, stored):
    with pytest.raises(CheckpointError, match="two weights `Embedding-"):
        load(Two(model, other), stored)
    with pytest.raises(CheckpointError, match="two weights `Embedding-"):
        save(Two(model, other), tmp_path)
    load(Two(model, model), stored)  # shared: the same weights twice
    assert_same(values(model), values(other))


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
    with pytest.raises(CheckpointError, match="unknown format 'onnx'; known are google, hug"):
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
FUSED = Table(
    "fused",
    tuple(
        Row(f"Block-{{i}}/{name}/{variable}", f"h.{{i}}.attn.{variable}", part(k, 3, -1))
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
    report = load(target, tmp_path)
    assert report.table == "fused"
    assert not report.unused
    assert_same(values(target), values(source))
    arrays["1.attn.bias"] = np.zeros(7, "float32")
    with pytest.raises(CheckpointError, match="equal division"):
        load(target, arrays)
    with pytest.raises(CheckpointError, match="cannot be put together"):
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

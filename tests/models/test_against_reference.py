"""Numbers of the built model against another implementation's, on weights large enough to tell."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.checkpoints import CheckpointError, save
from bert4keras.config import ConfigError, TransformerConfig
from bert4keras.masks import LM, Packed, Window
from bert4keras.models import build_transformer_model

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
TOLERANCE = 2e-5
VARIANTS = ("bert_gelu", "bert_gelu_tanh")


def reference(variant):
    with np.load(FIXTURES / variant / "reference.npz") as data:
        return dict(data)


def inputs(data, *more):
    return [data[name] for name in ("token_ids", "segment_ids", *more)]


def error(found, expected, data):
    """Largest deviation over tokens that are no padding."""
    return np.abs(found - expected)[data["attention_mask"].astype(bool)].max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_hidden_states_and_heads(variant):
    data = reference(variant)
    bert = build_transformer_model(FIXTURES / variant, with_pool=True, with_mlm="linear")
    model = keras.Model(bert.input, [*bert.hidden_states, *bert.output])
    *hidden, pooled, scores = model.predict(inputs(data), verbose=0)
    assert len(hidden) == len(data["hidden_states"])
    for found, expected in zip(hidden, data["hidden_states"], strict=True):
        assert error(found, expected, data) < TOLERANCE
    assert np.abs(pooled - data["pooled"]).max() < TOLERANCE
    assert error(scores, data["mlm_logits"], data) < TOLERANCE
    # What a wrong activation or ignored padding would give lies outside the tolerance.
    assert error(hidden[-1], data["wrong_gelu_hidden_states"], data) > 10 * TOLERANCE
    assert error(hidden[-1], data["unmasked_hidden_states"], data) > 10 * TOLERANCE


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("application", "more"),
    [
        ("lm", ()),
        ("unilm", ()),
        ("prefix", ("prefix_input",)),
        ("permutation", ("rank_input",)),
    ],
)
def test_masks_against_explicit_ones(variant, application, more):
    data = reference(variant)
    bert = build_transformer_model(FIXTURES / variant, application=application)
    model = keras.Model(bert.input, bert.hidden_states[-1])
    found = model.predict(inputs(data, *more), verbose=0)
    assert error(found, data[application], data) < TOLERANCE
    assert error(found, data["hidden_states"][-1], data) > 0.1


@pytest.mark.parametrize("directory", ["bert_sharded", "bert_google"])
def test_other_layouts_hold_the_same_model(directory):
    if directory == "bert_google" and not importlib.util.find_spec("tensorflow"):
        pytest.skip("reading a TensorFlow checkpoint needs TensorFlow")
    data = reference("bert_gelu")
    expected = build_transformer_model(FIXTURES / "bert_gelu").predict(inputs(data), verbose=0)
    found = build_transformer_model(FIXTURES / directory).predict(inputs(data), verbose=0)
    assert np.abs(found - expected).max() < TOLERANCE


@pytest.mark.parametrize("application", ["lm", "unilm"])
def test_cached_steps_equal_the_whole(application):
    data = reference("bert_gelu")
    transformer = build_transformer_model(
        FIXTURES / "bert_gelu", application=application, return_keras_model=False, with_mlm="linear"
    )
    whole = transformer.model.predict(inputs(data), verbose=0)
    tokens, segments = (ops.convert_to_tensor(x, "int32") for x in inputs(data))
    named = {"token_ids": tokens, "segment_ids": segments}
    batch, length = data["token_ids"].shape
    start = 4 if application == "lm" else int((data["segment_ids"] == 0).argmin(axis=1).min())
    cache, pieces = transformer.empty_cache(batch, length), []
    # Rows of one call see each other's keys only as the mask allows, so any cut is sound for LM;
    # a source must be read in one piece.
    cuts = [0, start, *range(start + 1, length + 1)] if application == "lm" else [0, length]
    for first, last in itertools.pairwise(cuts):
        rows = ops.arange(first, last, dtype="int32")
        output, cache = transformer.step(named, rows, cache)
        pieces.append(ops.convert_to_numpy(output))
    assert error(np.concatenate(pieces, axis=1), whole, data) < 5 * TOLERANCE


def visible(strategy, named, length):
    rows = ops.arange(length, dtype="int32")
    return np.asarray(ops.convert_to_numpy(strategy.visible(named, rows, rows)))


def test_window_and_packed_by_brute_force():
    documents = np.array([[1, 1, 2, 2, 2, 0]], "int32")
    tensor = ops.convert_to_tensor(documents)
    named = {"token_ids": tensor, "document_ids": tensor}
    found = visible(Window(1, 0) & Packed() & LM(), named, 6)[0]
    for q in range(6):
        for k in range(6):
            expected = q - 1 <= k <= q and documents[0, q] == documents[0, k]
            assert found[q, k] == expected


@pytest.mark.parametrize("backbone", [True, False])
def test_keras_file_gives_the_same_numbers(backbone, tmp_path):
    data = reference("bert_gelu")
    bert = build_transformer_model(FIXTURES / "bert_gelu", application="unilm", with_mlm=False)
    model = bert if backbone else keras.Model(bert.input, keras.layers.Dense(3)(bert.output))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    expected = model.predict(inputs(data), verbose=0)
    assert np.array_equal(again.predict(inputs(data), verbose=0), expected)


def test_a_head_trains_and_the_encoder_saves(tmp_path):
    data = reference("bert_gelu")
    bert = build_transformer_model(FIXTURES / "bert_gelu", with_pool=True, dropout_rate=0.0)
    model = keras.Model(bert.input, keras.layers.Dense(2, activation="softmax")(bert.output))
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    labels = np.arange(len(data["token_ids"])) % 2
    losses = model.fit(inputs(data), labels, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.1 * losses[0] or losses[-1] < 0.05
    save(bert, tmp_path / "saved", config=bert.config)
    again = build_transformer_model(tmp_path / "saved", with_pool=True)
    expected = bert.predict(inputs(data), verbose=0)
    assert np.array_equal(again.predict(inputs(data), verbose=0), expected)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_stays_within_its_rounding(dtype):
    data = reference("bert_gelu")
    keras.config.set_dtype_policy(dtype)
    try:
        found = build_transformer_model(FIXTURES / "bert_gelu").predict(inputs(data), verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    scale = np.abs(data["hidden_states"][-1]).max()
    step = 2**-10 if dtype == "mixed_float16" else 2**-7
    assert error(found.astype("float32"), data["hidden_states"][-1], data) < 8 * step * scale


def test_vocabulary_surgery():
    bert = build_transformer_model(
        FIXTURES / "bert_gelu", keep_tokens=[0, 5, 9], compound_tokens=[[1, 2]]
    )
    whole = build_transformer_model(FIXTURES / "bert_gelu")
    table = ops.convert_to_numpy(whole.get_layer("Embedding-Token").embeddings + 0)
    found = ops.convert_to_numpy(bert.get_layer("Embedding-Token").embeddings + 0)
    assert bert.config.vocab_size == 4
    assert np.allclose(found[:3], table[[0, 5, 9]])
    assert np.allclose(found[3], table[[5, 9]].mean(axis=0))


SIZES = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (SIZES, "no `vocab_size`"),
        ({**SIZES, "vocab_size": 5, "hidden_size": 9}, "not divisible"),
        ({**SIZES, "vocab_size": "5"}, "positive integer"),
        ({**SIZES, "vocab_size": 5, "dropout_rate": 1.5}, "must lie in"),
    ],
)
def test_impossible_configs(values, message):
    with pytest.raises(ConfigError, match=message):
        TransformerConfig.from_dict(values)


def test_clear_errors(tmp_path):
    data = reference("bert_gelu")
    with pytest.raises(ValueError, match="unknown model 'bart'"):
        build_transformer_model(FIXTURES / "bert_gelu", model="bart")
    with pytest.raises(ValueError, match="unknown application 'decoder'"):
        build_transformer_model(FIXTURES / "bert_gelu", application="decoder")
    with pytest.raises(ConfigError, match="unknown option `hidden_sise`"):
        build_transformer_model(FIXTURES / "bert_gelu", hidden_sise=3)
    with pytest.raises(ConfigError, match="does not exist"):
        build_transformer_model(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="the model has"):
        build_transformer_model(FIXTURES / "bert_gelu", intermediate_size=65)
    with pytest.raises(ConfigError, match="more than the 20 rows"):
        build_transformer_model(FIXTURES / "bert_gelu", vocab_size=20)
    with pytest.raises(ValueError, match="no segment input"):
        build_transformer_model(_tiny(), application="unilm", segment_vocab_size=0)
    bert = build_transformer_model(FIXTURES / "bert_gelu")
    with pytest.raises(ValueError, match="token id 999 at"):
        bert.predict([data["token_ids"] * 0 + 999, data["segment_ids"]], verbose=0)


def _tiny():
    return TransformerConfig(vocab_size=5, **SIZES)


def test_minilm_against_reference():
    import minilm

    with np.load(FIXTURES / "minilm_reference.npz") as file:
        data = dict(file)
    bert = build_transformer_model(minilm.fetch(), with_pool=True)
    found = bert.predict([data["token_ids"], data["segment_ids"]], verbose=0)
    assert np.abs(found - data["pooled"]).max() < 1e-4

"""Numbers of another implementation: what Hugging Face computes from the same checkpoint."""

from __future__ import annotations

import importlib.util

import keras
import numpy as np
import pytest

from bert4keras.checkpoints import save
from bert4keras.layers import MaskedMeanPooling
from bert4keras.models import build_transformer_model

TOLERANCE = 2e-5
GELUS = ("bert_gelu", "bert_gelu_tanh")


def gap(ours, theirs, where=Ellipsis) -> float:
    """Largest absolute difference."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs)[where].max())


def run(directory, reference, extra=(), **options) -> dict[str, np.ndarray]:
    """Last and all hidden states, and the outputs of the heads asked for."""
    model = build_transformer_model(directory, **options)
    heads = model.output if isinstance(model.output, list) else [model.output]
    full = keras.Model(model.input, [*model.hidden_states, *heads])
    x = [reference["token_ids"], reference["segment_ids"], *(reference[name] for name in extra)]
    results = full.predict(x, verbose=0)
    depth = len(model.hidden_states)
    return {"hidden_states": results[:depth], "heads": results[depth:]}


@pytest.mark.parametrize("name", GELUS)
def test_all_layers_and_heads(fixtures, load_reference, name):
    reference = load_reference(name)
    real = reference["attention_mask"].astype(bool)
    ours = run(fixtures / name, reference, with_pool=True, with_mlm="linear")
    assert len(ours["hidden_states"]) == len(reference["hidden_states"])
    for state, expected in zip(ours["hidden_states"], reference["hidden_states"], strict=True):
        assert gap(state, expected, real) < TOLERANCE
    pooled, mlm = ours["heads"]
    assert gap(pooled, reference["pooled"]) < TOLERANCE
    assert gap(mlm, reference["mlm_logits"], real) < TOLERANCE
    (nsp,) = run(fixtures / name, reference, with_nsp="linear")["heads"]
    assert gap(nsp, reference["nsp_logits"]) < TOLERANCE


@pytest.mark.spread
@pytest.mark.parametrize("name", GELUS)
def test_probabilities_are_the_softmax_of_the_logits(fixtures, load_reference, name):
    reference = load_reference(name)
    real = reference["attention_mask"].astype(bool)

    def softmax(x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    nsp, mlm = run(fixtures / name, reference, with_nsp=True, with_mlm=True)["heads"]
    assert gap(nsp, softmax(reference["nsp_logits"])) < TOLERANCE
    assert gap(mlm, softmax(reference["mlm_logits"]), real) < TOLERANCE


@pytest.mark.spread
@pytest.mark.parametrize("name", GELUS)
def test_the_other_gelu_would_be_noticed(fixtures, load_reference, name):
    reference = load_reference(name)
    real = reference["attention_mask"].astype(bool)
    other = "gelu" if name.endswith("tanh") else "gelu_tanh"
    last = run(fixtures / name, reference, hidden_act=other)["hidden_states"][-1]
    assert gap(last, reference["hidden_states"][-1], real) > 5 * TOLERANCE
    assert gap(last, reference["wrong_gelu_hidden_states"], real) < TOLERANCE


@pytest.mark.parametrize("name", GELUS)
def test_ignored_padding_would_be_noticed(fixtures, load_reference, name):
    reference = load_reference(name)
    # With another padding id, 0 is a token like any other.
    ignoring = run(fixtures / name, reference, pad_token_id=-1)["hidden_states"][-1]
    rows = reference["attention_mask"].min(axis=1) == 0
    real = reference["attention_mask"].astype(bool) & rows[:, None]
    assert gap(ignoring, reference["hidden_states"][-1], real) > 100 * TOLERANCE
    assert gap(ignoring, reference["unmasked_hidden_states"]) < TOLERANCE


@pytest.mark.spread
@pytest.mark.parametrize("name", GELUS)
def test_ignored_segments_would_be_noticed(fixtures, load_reference, name):
    reference = load_reference(name)
    real = reference["attention_mask"].astype(bool)
    ours = run(fixtures / name, {**reference, "segment_ids": 0 * reference["segment_ids"]})
    second = real & (reference["segment_ids"] == 1)
    assert gap(ours["hidden_states"][0], reference["hidden_states"][0], second) > 100 * TOLERANCE
    assert gap(ours["hidden_states"][-1], reference["hidden_states"][-1], real) > 100 * TOLERANCE


@pytest.mark.parametrize("name", GELUS)
@pytest.mark.parametrize(
    ("application", "extra"),
    [
        ("lm", ()),
        ("unilm", ()),
        ("prefix", ("prefix_input",)),
        ("permutation", ("rank_input",)),
    ],
)
def test_mask_strategies(fixtures, load_reference, name, application, extra):
    reference = load_reference(name)
    real = reference["attention_mask"].astype(bool)
    ours = run(fixtures / name, reference, extra, application=application)["hidden_states"][-1]
    assert gap(ours, reference[application], real) < TOLERANCE
    assert gap(ours, reference["hidden_states"][-1], real) > 100 * TOLERANCE


def test_old_names_without_prefix(fixtures, load_reference):
    reference = load_reference("bert_bare")
    real = reference["attention_mask"].astype(bool)
    ours = run(fixtures / "bert_bare", reference, with_pool=True)
    for state, expected in zip(ours["hidden_states"], reference["hidden_states"], strict=True):
        assert gap(state, expected, real) < TOLERANCE
    assert gap(ours["heads"][0], reference["pooled"]) < TOLERANCE


@pytest.mark.spread
@pytest.mark.parametrize("name", ["bert_sharded", "bert_google"])
def test_other_formats_of_the_same_model(fixtures, load_reference, name):
    if name == "bert_google" and importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow reads this format")
    reference = load_reference("bert_gelu")
    real = reference["attention_mask"].astype(bool)
    ours = run(fixtures / name, reference, with_pool=True, with_mlm="linear")
    assert gap(ours["hidden_states"][-1], reference["hidden_states"][-1], real) < TOLERANCE
    assert gap(ours["heads"][0], reference["pooled"]) < TOLERANCE
    assert gap(ours["heads"][1], reference["mlm_logits"], real) < TOLERANCE


@pytest.mark.spread
@pytest.mark.parametrize("name", GELUS)
@pytest.mark.parametrize(("policy", "digits"), [("mixed_float16", 10), ("mixed_bfloat16", 7)])
def test_half_precision_stays_within_its_rounding(fixtures, load_reference, name, policy, digits):
    reference = load_reference(name)
    real = reference["attention_mask"].astype(bool)
    keras.config.set_dtype_policy(policy)
    ours = run(fixtures / name, reference)["hidden_states"]
    for state, expected in zip(ours, reference["hidden_states"], strict=True):
        error = (state.astype("float64") - expected)[real]
        relative = np.sqrt(np.mean(error**2) / np.mean(expected[real] ** 2))
        # A few roundings of half a unit in the last place, and they are indeed made.
        assert 0.1 * 2.0**-digits < relative < 6 * 2.0**-digits


@pytest.mark.spread
def test_a_fine_tuned_encoder_saves_without_its_head(fixtures, load_reference, tmp_path):
    reference = load_reference("bert_gelu")
    x = [reference["token_ids"], reference["segment_ids"]]
    bert = build_transformer_model(fixtures / "bert_gelu", with_pool=True, dropout_rate=0.0)
    model = keras.Model(bert.input, keras.layers.Dense(2, activation="softmax")(bert.output))
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    losses = model.fit(x, np.array([0, 1, 0, 1]), epochs=30, verbose=0).history["loss"]
    assert losses[-1] < min(0.05, 0.1 * losses[0])
    save(bert, tmp_path / "saved", config=bert.config)
    again = build_transformer_model(tmp_path / "saved", with_pool=True)
    found = again.predict(x, verbose=0)
    np.testing.assert_array_equal(found, bert.predict(x, verbose=0))
    assert gap(found, reference["pooled"]) > 100 * TOLERANCE


def test_minilm(fixtures, minilm):
    with np.load(fixtures / "minilm_reference.npz") as arrays:
        reference = dict(arrays)
    model = build_transformer_model(minilm, with_pool=True)
    last = model.hidden_states[-1]
    mean = MaskedMeanPooling()([last, model.input[0]])
    full = keras.Model(model.input, [last, model.output, mean])
    x = [reference["token_ids"], reference["segment_ids"]]
    last, pooled, mean = full.predict(x, verbose=0)
    some = np.take_along_axis(last, reference["positions"][..., None], axis=1)
    assert gap(some, reference["last_hidden_state"]) < 1e-4
    assert gap(pooled, reference["pooled"]) < 1e-4
    assert gap(mean, reference["mean_pooled"]) < 1e-4

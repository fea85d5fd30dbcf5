"""Whole models under sparse masks: in bands as dense, trained, saved, and decoded step by step."""

from __future__ import annotations

import dataclasses
import re

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.layers import AttentionMask
from bert4keras.masks import LM, Atrous, Local, Mask, Packed, Sparse, UniLM, Window
from bert4keras.masks.bands import saves_work
from helpers.compiled import compiled
from helpers.family_models import build
from helpers.steps import step_all

LENGTH = 199
SIZES = {"max_position": 208, "num_hidden_layers": 2, "pad_token_id": 0}
rng = np.random.default_rng(4)
TOKENS = rng.integers(1, 20, (2, LENGTH)).astype("int32")
TOKENS[1, 100:] = 0
VALUES = {
    "token_ids": TOKENS,
    "segment_ids": np.tile(np.arange(LENGTH) >= 60, (2, 1)).astype("int32"),
    "document_ids": (1 + (np.arange(LENGTH) >= 70)) * (TOKENS > 0),
}


def inputs_of(model, length=LENGTH):
    names = model.transformer.get_inputs()
    return [ops.convert_to_tensor(VALUES[n][:, :length].astype("int32")) for n in names]


def masks_of(model):
    return [layer for layer in model.layers if isinstance(layer, AttentionMask)]


def output(model) -> np.ndarray:
    """The output at real tokens."""
    run = compiled(lambda *x: model(list(x), training=False))
    return ops.convert_to_numpy(run(*inputs_of(model)))[TOKENS > 0]


def both(model, dense):
    """The model's output, and that with every mask dense."""
    assert any(saves_work(layer.bands, LENGTH) for layer in masks_of(model))
    found = output(model)
    for layer in masks_of(model):
        dense.setattr(layer, "bands", ())
    return found, output(model)


# A family, a mask, and one that hides other keys.
CASES = {
    "bert": (Window(3), Window(4)),
    "roberta": (Sparse(12) & Packed(), Sparse(13) & Packed()),
    "modernbert": (Mask(), Window(2)),
    "roformer": (Local(1, 3), Local(1, 4)),
    "gpt2": (LM() & Window(9), LM() & Window(8)),
    "nezha": (Window(3) & UniLM(), Window(3)),
    "gau_alpha": (Sparse(12), Sparse(13)),
    "deberta-v2": (Window(3), Window(4)),
}


def sizes_of(family):
    return {**SIZES, "local_attention": 6} if family == "modernbert" else SIZES


# On every backend those with own local layers or an own kind of attention.
EVERYWHERE = ("modernbert", "deberta-v2")
FAMILIES = [
    pytest.param(family, marks=[] if family in EVERYWHERE else pytest.mark.spread)
    for family in CASES
]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_in_bands_equals_a_dense_one(family, monkeypatch):
    mask, other_mask = CASES[family]
    model = build(family, mask, sizes_of(family))
    other = build(family, other_mask, sizes_of(family))
    other.set_weights(model.get_weights())
    found, wanted = both(model, monkeypatch)
    np.testing.assert_allclose(found, wanted, atol=5e-5)
    assert np.abs(output(other) - wanted).max() > 1e-3


@pytest.mark.spread
def test_cached_steps_equal_the_whole():
    model = build("gpt2", LM() & Window(5), SIZES, with_mlm="linear")
    assert masks_of(model)[0].bands
    whole = ops.convert_to_numpy(model(inputs_of(model), training=False))[:1]
    named = {"token_ids": TOKENS[:1]}
    found = step_all(model.transformer, named, LENGTH - 3)
    np.testing.assert_allclose(found, whole, atol=5e-5)
    other = build("gpt2", LM() & Window(4), SIZES, with_mlm="linear")
    other.set_weights(model.get_weights())
    assert np.abs(step_all(other.transformer, named, LENGTH - 3) - whole).max() > 1e-3


@pytest.mark.spread
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_training_and_saving(policy, tmp_path):
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = build("bert", Sparse(12), {**SIZES, "attention_dropout_rate": 0.1})
    finally:
        keras.config.set_dtype_policy(usual)
    head = keras.Model(model.inputs, keras.layers.Dense(1, dtype="float32")(model.output[:, 0]))
    head.compile(keras.optimizers.Adam(1e-3), "mse")
    x = [ops.convert_to_numpy(tensor) for tensor in inputs_of(model)]
    y = np.array([[1.0], [-1.0]])
    before = head.evaluate(x, y, verbose=0)
    head.fit(x, y, epochs=8, verbose=0)
    assert head.evaluate(x, y, verbose=0) < 0.8 * before
    head.save(tmp_path / "head.keras")
    again = keras.models.load_model(tmp_path / "head.keras")
    assert masks_of(again)[0].bands == Sparse(12).bands
    np.testing.assert_allclose(
        again.predict(x, verbose=0),
        head.predict(x, verbose=0),
        atol=1e-5 if "32" in policy else 1e-2,
    )


@pytest.mark.spread
def test_where_attention_stays_dense():
    """Scores handed on, biases of position, convolutions, rules of users: see `bands`."""
    for family, options in [
        ("bert", {"residual_attention_scores": True}),
        ("t5.1.1_encoder", {}),
        ("deberta-v2", {"conv_kernel_size": 3}),
    ]:
        model = build(family, Window(3), {**SIZES, **options})
        assert not any(layer.bands for layer in masks_of(model)), family
        plain = build(family, "encoder", {**SIZES, **options})
        plain.set_weights(model.get_weights())
        x = inputs_of(model)
        first, second = (ops.convert_to_numpy(m(x, training=False)) for m in (model, plain))
        assert np.abs(first - second)[TOKENS > 0].max() > 1e-3, family
    assert not build("bert", Window(3) & NotFirst(), SIZES).transformer.bands(NotFirst())
    assert (Window(3) & NotFirst()).bands == ()


@keras.saving.register_keras_serializable("tests")
@dataclasses.dataclass(frozen=True)
class NotFirst(Mask):
    """A rule on indices, which groups of positions do not have."""

    def allowed(self, query_index, key_index, inputs):
        return (key_index[None, :] + 0 * query_index[:, None] > 0)[None]


@keras.saving.register_keras_serializable("tests")
@dataclasses.dataclass(frozen=True)
class SameToken(Mask):
    """A rule on values, which works in bands too."""

    def rule(self, pairs, inputs):
        token_ids = inputs["token_ids"] % 2
        return ops.equal(pairs.queries(token_ids), pairs.keys(token_ids))


@pytest.mark.spread
def test_a_rule_of_the_user_in_bands(monkeypatch):
    model = build("bert", Window(3) & SameToken(), SIZES)
    found, wanted = both(model, monkeypatch)
    np.testing.assert_allclose(found, wanted, atol=5e-5)
    plain = build("bert", Window(3), SIZES)
    plain.set_weights(model.get_weights())
    assert np.abs(ops.convert_to_numpy(plain(inputs_of(plain)))[TOKENS > 0] - wanted).max() > 1e-3


@pytest.mark.spread
def test_the_last_form_of_a_rule_holds():
    class Shifted(Window):
        def allowed(self, query_index, key_index, inputs):
            rule = super().allowed(query_index, key_index, inputs)
            return ops.logical_or(rule, (key_index == 0)[None, None])

    index = ops.arange(9, dtype="int32")
    seen = ops.convert_to_numpy(Shifted(1).visible({"token_ids": None}, index, index))[0]
    assert seen[:, 0].all()
    assert seen[4].nonzero()[0].tolist() == [0, 3, 4, 5]
    assert not Shifted(1).fits_bands


@pytest.mark.spread
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sparse(0), "Sparse takes a whole number of at least 1 as `rate`, not 0"),
        (lambda: Local(2.5), "Local takes a whole number of at least 0 as `neighbours`, not 2.5"),
        (lambda: Local(2, True), "Local takes a whole number of at least 1 as `rate`, not True"),
        (lambda: Atrous(-1), "Atrous takes a whole number of at least 1 as `rate`, not -1"),
    ],
)
def test_numbers_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()

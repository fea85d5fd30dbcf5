"""Integrated gradients against exact values, a sum over many points, and completeness."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.layers import TokenEmbedding
from bert4keras.training import IntegratedGradients
from helpers import tiny

pytestmark = pytest.mark.spread

IDS = np.array([[1, 4, 2], [3, 3, 0]], "int32")
RNG = np.random.default_rng(2)
TABLE = RNG.normal(size=(6, 4)).astype("float32")
KERNEL = RNG.normal(size=(4, 2)).astype("float32")
MIXED = RNG.normal(size=(3, 2)).astype("float32")  # weights of the three places


def small_model(activation: str) -> keras.Model:
    """sum over t of place weight (t, c) times activation(e_t kernel_c), then the activation again.

    So the tokens act together, unless the activation is linear.
    """
    ids = keras.Input((3,), dtype="int32")
    embedding = TokenEmbedding(6, 4, name="Embedding-Token")
    dense = keras.layers.Dense(2, activation, use_bias=False)
    x = ops.sum(dense(embedding(ids)) * MIXED, axis=1)
    model = keras.Model(ids, keras.layers.Activation(activation)(x))
    embedding.set_weights([TABLE])
    dense.set_weights([KERNEL])
    return model


def by_brute_force(ids, target, base, points=4000) -> np.ndarray:
    """The integral for tanh by its definition, with the gradient by hand, at many midpoints."""
    vectors, total = TABLE[ids].astype("float64"), 0.0
    for place in (np.arange(points) + 0.5) / points:
        inner = np.tanh((base + place * (vectors - base)) @ KERNEL[:, target])
        outer = np.tanh((MIXED[:, target] * inner).sum())
        slopes = (1 - outer**2) * MIXED[:, target] * (1 - inner**2)
        total = total + slopes[:, None] * KERNEL[:, target] * (vectors - base)
    return total.sum(axis=-1) / points


def test_a_linear_model_exactly():
    explain = IntegratedGradients(small_model("linear"), baseline=5, batch_size=3)
    found = explain(IDS, targets=[1, 0], steps=1)
    for row, target in enumerate([1, 0]):
        expected = (TABLE[IDS[row]] - TABLE[5]) @ KERNEL[:, target] * MIXED[:, target]
        np.testing.assert_allclose(found.scores[row], expected, atol=1e-5)
    np.testing.assert_allclose(found.gaps, 0, atol=1e-5)


@pytest.mark.parametrize("baseline", [None, 5])
def test_tanh_by_brute_force(baseline):
    base = 0.0 if baseline is None else TABLE[5].astype("float64")
    explain = IntegratedGradients(small_model("tanh"), baseline, batch_size=52)
    found = explain(IDS, steps=24)
    outputs = explain.model.predict(IDS, verbose=0)
    assert found.targets.tolist() == outputs.argmax(axis=1).tolist()
    np.testing.assert_allclose(found.outputs, outputs.max(axis=1), atol=1e-6)
    expected = [by_brute_force(*row, base) for row in zip(IDS, found.targets, strict=True)]
    np.testing.assert_allclose(found.scores, expected, atol=1e-4)
    np.testing.assert_allclose(found.gaps, 0, atol=1e-4)
    # Negative control: only the gradient in the middle of the path gives something else.
    coarse = explain(IDS, found.targets, steps=1)
    assert np.abs(coarse.scores - expected).max() > 1e-2
    assert np.abs(coarse.gaps).max() > 1e-2


def test_completeness_on_a_bert():
    """Padding and what the baseline keeps have no part; one step is not enough."""
    bert = tiny.build()
    x = keras.layers.Dense(3, "softmax", name="Classes", kernel_initializer="he_normal")
    model = keras.Model(bert.input, x(bert.output[:, 0]))
    inputs = tiny.inputs()
    kept = [int(inputs[0][0, 0])]
    explain = IntegratedGradients(model, baseline=2, kept=kept, batch_size=102)
    found = explain(inputs)
    np.testing.assert_allclose(found.gaps, 0, atol=1e-4)
    assert np.abs(explain(inputs, found.targets, steps=1).gaps).max() > 1e-3
    change = found.outputs - found.baseline_outputs
    assert np.abs(change).min() > 1e-3
    outside = np.isin(inputs[0], [0, *kept])
    assert outside.sum() >= 4
    assert np.abs(found.scores[outside]).max() < 1e-6
    assert (np.abs(found.scores[~outside & (inputs[0] != 2)]) > 1e-6).all()
    # The baseline's output is the model's for the text with its tokens replaced.
    replaced = [np.where(outside, inputs[0], 2), inputs[1]]
    expected = model.predict(replaced, verbose=0)[range(3), found.targets]
    np.testing.assert_allclose(found.baseline_outputs, expected, atol=1e-5)


def test_what_cannot_be_explained():
    model = small_model("linear")
    with pytest.raises(ValueError, match="steps=0 must be at least 1"):
        IntegratedGradients(model)(IDS, steps=0)
    with pytest.raises(ValueError, match="no layer 'Embedding' that looks up vectors"):
        IntegratedGradients(model, embedding="Embedding")
    with pytest.raises(
        ValueError, match=r"targets=\[2, 2\] must be from 0 to 1: the output has 2 columns"
    ):
        IntegratedGradients(model)(IDS, targets=2)
    bert = tiny.build()
    with pytest.raises(ValueError, match=r"one output \(B, C\).*not \(.*, 8\)"):
        IntegratedGradients(bert)
    twice = tiny.build({"shared_segment_embeddings": True}, with_pool=True)
    with pytest.raises(ValueError, match="calls 'Embedding-Token' on 2 inputs"):
        IntegratedGradients(twice)

"""CoSENT and in-batch negatives by brute force over pairs, and by hand."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.losses import CoSENT, cosent, in_batch_negatives
from bert4keras.losses.similarity import unit

RNG = np.random.default_rng(4)


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def cosent_by_pairs(labels, cosines, scale) -> float:
    total = 1.0
    for label, cosine in zip(labels, cosines, strict=True):
        for other, lower in zip(labels, cosines, strict=True):
            if label > other >= 0:
                total += math.exp(scale * (lower - cosine))
    return math.log(total)


@pytest.mark.parametrize("scale", [20.0, 5.0])
@pytest.mark.parametrize(
    "labels",
    [RNG.integers(0, 2, 7), RNG.integers(0, 6, 9), RNG.uniform(0, 5, 8), [2, -1, 0, -1, 1], [3]],
)
def test_cosent_is_the_sum_over_pairs(labels, scale):
    cosines = RNG.uniform(-1, 1, len(labels)).astype("float32")
    found = value(cosent(np.array(labels), cosines, scale))
    np.testing.assert_allclose(found, cosent_by_pairs(labels, cosines, scale), rtol=1e-5)
    assert found.shape == (len(labels),)
    column = value(cosent(np.array(labels)[:, None], cosines[:, None], scale))
    np.testing.assert_array_equal(column, found)
    assert value(CoSENT(scale)(np.array(labels), cosines)) == pytest.approx(found.mean(), rel=1e-6)


def test_cosent_by_hand():
    # One ordered pair, in the wrong order by 0.1: log(1 + e^2).
    found = value(cosent(np.array([1.0, 0.0]), np.array([0.4, 0.5], "float32")))
    np.testing.assert_allclose(found, math.log(1 + math.exp(2)), rtol=1e-5)
    right = value(cosent(np.array([0.0, 1.0]), np.array([0.4, 0.5], "float32")))
    np.testing.assert_allclose(right, math.log(1 + math.exp(-2)), rtol=1e-5)


def test_cosent_without_an_ordered_pair_is_zero():
    cosines = np.array([0.9, -0.9, 0.3], "float32")
    np.testing.assert_array_equal(value(cosent(np.ones(3), cosines)), np.zeros(3))
    np.testing.assert_array_equal(value(cosent(np.array([1, -1, -1]), cosines)), np.zeros(3))


def test_losses_are_finite_in_half_precision():
    labels = np.array([1, 0, 0, 1], "float16")
    cosines = np.array([-1, 1, 1, 1], "float16")  # e^40 is not a float16
    found = value(cosent(labels, cosines))
    np.testing.assert_allclose(found, cosent_by_pairs(labels, cosines, 20.0), rtol=1e-3)
    vectors = np.eye(3, 4, dtype="float16") * 300  # nor is 300^2
    found = value(in_batch_negatives(vectors, -vectors[::-1]))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, [math.log(2 + math.exp(-20))] * 2 + [math.log(2)], atol=30)


def negatives_by_loops(anchors, candidates, scale, same=None):
    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    losses = []
    for i, anchor in enumerate(anchors):
        total = 0.0
        for j, candidate in enumerate(candidates):
            if same is None or i == j or j >= len(anchors) or not same[i][j]:
                total += math.exp(scale * cosine(anchor, candidate))
        losses.append(-math.log(math.exp(scale * cosine(anchor, candidates[i])) / total))
    return np.array(losses)


SAME = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], bool)


@pytest.mark.parametrize("hard", [0, 3, 8])
@pytest.mark.parametrize("same", [None, SAME], ids=["", "same"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_in_batch_negatives_are_the_cross_entropy(hard, same, symmetric):
    anchors = RNG.normal(size=(4, 5)).astype("float32")
    candidates = RNG.normal(size=(4 + hard, 5)).astype("float32")
    found = value(in_batch_negatives(anchors, candidates, 3.0, symmetric, same))
    expected = negatives_by_loops(anchors, candidates, 3.0, same)
    if symmetric:
        expected = (expected + negatives_by_loops(candidates[:4], anchors, 3.0, same)) / 2
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    other = value(in_batch_negatives(anchors, candidates, 3.0, not symmetric, same))
    assert np.abs(other - expected).max() > 1e-3


def test_in_batch_negatives_by_hand():
    eye = np.eye(2, dtype="float32")
    found = value(in_batch_negatives(eye, eye * 7, scale=1.0))
    np.testing.assert_allclose(found, [math.log(1 + math.exp(-1))] * 2, rtol=1e-6)
    alone = value(in_batch_negatives(eye[:1], eye[1:]))
    np.testing.assert_allclose(alone, [0.0], atol=1e-6)  # one pair: nothing to be confused with


def test_unit_vectors():
    x = RNG.normal(size=(3, 4)).astype("float32")
    np.testing.assert_allclose(value(unit(x)), x / np.linalg.norm(x, axis=1)[:, None], rtol=1e-5)
    np.testing.assert_array_equal(value(unit(np.zeros((1, 4), "float32"))), np.zeros((1, 4)))


class Table(keras.layers.Layer):
    """Vectors by number, which training may change: the cosine of two of them."""

    def build(self, input_shape):
        self.table = self.add_weight(shape=(5, 3), initializer="zeros")

    def call(self, pairs):
        first, second = (unit(ops.take(self.table, pairs[:, k], axis=0)) for k in range(2))
        return ops.sum(first * second, axis=-1)


def test_gradients_of_zero_vectors_are_finite():
    """A row of only padding, pooled, is a vector of zeros."""
    layer = Table()
    model = keras.Sequential([keras.Input((2,), dtype="int32"), layer])
    model.compile("sgd", cosent)
    pairs, labels = np.array([[0, 1], [1, 2], [2, 3], [3, 4]]), np.arange(4.0)
    model.fit(pairs, labels, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(value(layer.table)).all()
    layer.table.assign(RNG.normal(size=(5, 3)))
    before = model.evaluate(pairs, labels, verbose=0)
    model.fit(pairs, labels, batch_size=4, epochs=20, verbose=0)
    assert model.evaluate(pairs, labels, verbose=0) < before - 0.1


@pytest.mark.spread
@pytest.mark.parametrize("loss", [cosent, CoSENT(7.0)], ids=["function", "class"])
def test_a_compiled_loss_survives_saving(loss, tmp_path):
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", loss)
    x, y = np.array([[0.1], [0.3], [0.2]]), np.array([0, 1, 2])
    expected = model.evaluate(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-6)
    if loss is not cosent:
        assert again.loss.scale == 7.0

"""ZLPR against values worked out by hand, in all its forms."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.losses import (
    globalpointer_crossentropy,
    multilabel_categorical_crossentropy,
    sparse_globalpointer_crossentropy,
    sparse_multilabel_categorical_crossentropy,
)

LN2, LN3 = math.log(2), math.log(3)
# Scores are logarithms, so that the sums can be done in the head.
BY_HAND = [
    # log(1 + 1/2 + 1/4) + log(1 + 3)
    ([1, 0, 1], [LN2, LN3, 2 * LN2], math.log(7 / 4) + math.log(4)),
    # no label: log 1 + log(1 + 2 + 3 + 1/2)
    ([0, 0, 0], [LN2, LN3, -LN2], math.log(6.5)),
    # only labels: log(1 + 1/2 + 1/3 + 2) + log 1
    ([1, 1, 1], [LN2, LN3, -LN2], math.log(23 / 6)),
    # soft: log(1 + 1/4 / 2 + 1/2 / 3) + log(1 + 3/4 * 2 + 1/2 * 3)
    ([0.25, 0.5], [LN2, LN3], math.log(31 / 24) + math.log(4)),
    # the second score takes no part: log(1 + 1/2) + log(1 + 1/2)
    ([1, -1, 0], [LN2, LN3, -LN2], 2 * math.log(3 / 2)),
    # masked ones do not either, label or not
    ([1, 1, 0], [LN2, -1e9, -1e9], math.log(3 / 2)),
    ([1, 1, 0], [LN2, -3e4, -3e4], math.log(3 / 2)),
]


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def tensor(x, dtype="float32"):
    return ops.cast(ops.convert_to_tensor(np.asarray(x, "float32")), dtype)


def indices(labels, size: int) -> np.ndarray:
    """(..., C) zeros and ones as indices (..., size), padded with -1."""
    flat = labels.reshape(-1, labels.shape[-1])
    found = np.full((len(flat), size), -1, "int32")
    for row, places in zip(found, map(np.flatnonzero, flat), strict=True):
        row[: len(places)] = places
    return found.reshape(*labels.shape[:-1], size)


@pytest.mark.parametrize(("labels", "scores", "expected"), BY_HAND)
def test_by_hand(labels, scores, expected):
    found = multilabel_categorical_crossentropy(tensor([labels]), tensor([scores]))
    np.testing.assert_allclose(value(found), [expected], rtol=1e-5)


def test_one_label_is_not_a_softmax():
    """The threshold takes part: two scores of 0 give 2 log 2, a softmax log 2."""
    found = multilabel_categorical_crossentropy(tensor([[1, 0]]), tensor([[0, 0]]))
    np.testing.assert_allclose(value(found), [2 * LN2], rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 5)])
def test_sparse_equals_dense(shape):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=shape) * 5, rng.integers(0, 2, shape)
    labels[0], labels[1] = 0, 1  # none, and all
    sparse = indices(labels, shape[-1] + 1)
    dense = value(multilabel_categorical_crossentropy(tensor(labels), tensor(scores)))
    found = value(sparse_multilabel_categorical_crossentropy(sparse, tensor(scores)))
    np.testing.assert_allclose(found, dense, rtol=1e-5)
    other = value(multilabel_categorical_crossentropy(tensor(1 - labels), tensor(scores)))
    assert np.abs(other - dense).max() > 0.1


def test_sparse_is_exact_where_labels_score_high():
    """Subtracting the labels from a sum over all would leave rounding errors here."""
    scores = np.array([[25.0, 24.0, -9.0, -8.0]])
    found = sparse_multilabel_categorical_crossentropy(np.array([[0, 1]]), tensor(scores))
    expected = math.log1p(math.exp(-25) + math.exp(-24)) + math.log1p(math.exp(-9) + math.exp(-8))
    np.testing.assert_allclose(value(found), [expected], rtol=1e-4)


def test_class_zero_as_padding():
    """Then it is as if that class were not there."""
    scores = np.array([[9.0, LN2, LN3, 2 * LN2]])
    found = sparse_multilabel_categorical_crossentropy(
        np.array([[1, 3, 0, 0]]), tensor(scores), mask_zero=True
    )
    np.testing.assert_allclose(value(found), [BY_HAND[0][2]], rtol=1e-5)


class Scores(keras.layers.Layer):
    """The scores are the weights, so that a step of SGD with rate 1 shows their gradient."""

    def build(self, shape):
        self.scores = self.add_weight(name="scores", shape=shape[1:])

    def call(self, x):
        return ops.ones_like(x) * self.scores

    def compute_output_shape(self, shape):
        return shape


def gradient(loss, labels, scores, dtype) -> np.ndarray:
    layer = Scores(dtype=dtype)
    model = keras.Sequential([keras.Input(scores.shape, dtype=dtype), layer])
    layer.scores.assign(scores)
    before = value(ops.cast(layer.scores, "float32"))
    model.compile(keras.optimizers.SGD(1.0), loss, jit_compile=False)
    model.train_on_batch(np.zeros((1, *scores.shape), dtype), labels[None])
    return before - value(ops.cast(layer.scores, "float32"))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("labels", [[1, 0, 1, 0, 0], [0] * 5, [1] * 5])
def test_gradients_in_half_precision(sparse, labels):
    """Finite at the largest scores, and where they are small by the formula.

    d/ds of a label: -exp(-s) / (1 + sum of exp(-s)); of another: exp(s) / (1 + sum of exp(s)).
    """
    y, loss = np.array(labels), multilabel_categorical_crossentropy
    given = y
    if sparse:
        given, loss = indices(y[None], 6)[0], sparse_multilabel_categorical_crossentropy
    s = np.array([0.5, -1.0, 1.5, 0.25, -3e4])
    real = s > -1e4
    low, high = y * real * np.exp(-s * real), (1 - y) * real * np.exp(s * real)
    expected = high / (1 + high.sum()) - low / (1 + low.sum())
    found = gradient(loss, given, s.astype("float16"), "float16")
    np.testing.assert_allclose(found, expected, atol=2e-3)
    huge = np.array([6e4, 60, -60, -9e3, -3e4], "float16")
    assert np.isfinite(value(loss(given[None], tensor(huge[None], "float16")))).all()
    assert np.isfinite(gradient(loss, given, huge, "float16")).all()


@pytest.mark.parametrize("mask_zero", [False, True])
def test_global_pointer(mask_zero):
    """Each head is a separate problem; by hand with one span in the first, none in the second."""
    scores = np.full((1, 2, 2, 2), -1e9)
    scores[0, :, 0, 1], scores[0, :, 1, 1] = LN2, -LN2
    labels = np.zeros((1, 2, 2, 2))
    labels[0, 0, 0, 1] = 1
    expected = 2 * math.log(3 / 2) + math.log(1 + 2 + 1 / 2)
    dense = globalpointer_crossentropy(tensor(labels), tensor(scores))
    np.testing.assert_allclose(value(dense), [expected], rtol=1e-5)
    padding = 0 if mask_zero else -1
    spans = np.full((1, 2, 3, 2), padding, "int32")
    spans[0, 0, 0] = 0, 1
    sparse = sparse_globalpointer_crossentropy(spans, tensor(scores), mask_zero)
    np.testing.assert_allclose(value(sparse), [expected], rtol=1e-5)


@pytest.mark.spread
def test_labels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(4,\) must have the shape.*\(4, 3\).*sparse_multi"):
        multilabel_categorical_crossentropy(np.zeros(4), tensor(np.zeros((4, 3))))
    with pytest.raises(ValueError, match=r"indices of labels \(4,\)"):
        sparse_multilabel_categorical_crossentropy(np.zeros(4), tensor(np.zeros((4, 3))))


@pytest.mark.spread
def test_a_compiled_loss_is_saved(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile("sgd", multilabel_categorical_crossentropy)
    model.train_on_batch(np.ones((2, 2)), np.eye(3)[:2])
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    x, y = np.ones((2, 2), "float32"), np.eye(3)[:2]
    assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))

"""Focal losses: by hand, and against Keras' own of probabilities."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.losses import binary_focal_crossentropy, sparse_categorical_focal_crossentropy

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(4, 5)).astype("float32") * 3


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def test_binary_by_hand():
    """p = 3/4 of a yes: (1/4)^2 log(4/3), weighted 0.9; of a no: (3/4)^2 log 4, weighted 0.1."""
    scores = np.full((1, 3), math.log(3), "float32")
    found = binary_focal_crossentropy(np.array([[1, 0, -1]]), scores, alpha=0.9)
    expected = (0.9 * math.log(4 / 3) / 16 + 0.1 * 9 / 16 * math.log(4)) / 2
    np.testing.assert_allclose(value(found), [expected], rtol=1e-5)


def test_categorical_by_hand():
    """p = 3/4 of class 0, 1/4 of class 1; the third label is ignored."""
    scores = np.full((1, 3, 2), [math.log(3), 0], "float32")
    labels = np.array([[0, 1, -1]])
    found = sparse_categorical_focal_crossentropy(labels, scores, alpha=[1, 2])
    expected = (math.log(4 / 3) / 16 + 2 * 9 / 16 * math.log(4)) / 2
    np.testing.assert_allclose(value(found), [expected], rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.5])
def test_as_keras(gamma):
    labels = RNG.integers(0, 2, SCORES.shape)
    found = value(binary_focal_crossentropy(labels, SCORES, gamma))
    theirs = keras.losses.binary_focal_crossentropy(
        labels.astype("float32"), SCORES, gamma=gamma, from_logits=True
    )
    np.testing.assert_allclose(found, value(theirs), rtol=1e-3)
    classes = RNG.integers(0, 5, len(SCORES))
    found = value(sparse_categorical_focal_crossentropy(classes, SCORES, gamma, np.ones(5)))
    theirs = keras.losses.categorical_focal_crossentropy(
        np.eye(5, dtype="float32")[classes], SCORES, alpha=1.0, gamma=gamma, from_logits=True
    )
    np.testing.assert_allclose(found, value(theirs), rtol=1e-3)


def test_large_scores_and_no_label():
    scores = ops.cast(np.array([[6e4, -6e4]], "float32"), "float16")
    np.testing.assert_allclose(value(binary_focal_crossentropy([[1, 0]], scores)), [0], atol=1e-6)
    assert value(binary_focal_crossentropy([[0, 1]], scores))[0] > 1e4
    assert np.isfinite(value(binary_focal_crossentropy([[0, 1]], scores))).all()
    assert value(binary_focal_crossentropy([[-1, -1]], scores)) == [0]
    found = value(sparse_categorical_focal_crossentropy([1], scores))
    assert np.isfinite(found).all()
    assert found[0] > 1e4
    assert value(sparse_categorical_focal_crossentropy([-1], scores)) == [0]

"""Losses and accuracies that leave out labels below 0, against hand computation."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from bert4keras.training import BinaryAccuracy, SparseCategoricalAccuracy

RNG = np.random.default_rng(0)
LABELS = np.array([[0, 2, -1, 1], [1, -1, -100, -1], [-1, -1, -1, -1]])
P = RNG.dirichlet(np.ones(3), (3, 4)).astype("float32")
WEIGHTS = np.array([[1.0, 2, 3, 0.5], [2, 1, 1, 1], [1, 1, 1, 1]], "float32")


def number(x):
    return float(keras.ops.convert_to_numpy(x))


def by_hand(labels, p, weights=None, mask=None):
    """Sums over the real labels, one by one: mean loss (Keras' weighting), accuracy."""
    losses, right, total, count = [], 0.0, 0.0, 0
    for place in np.ndindex(labels.shape):
        if labels[place] < 0 or (mask is not None and not mask[place]):
            continue
        w = 1.0 if weights is None else weights[place]
        count += 1
        losses.append(-w * np.log(p[place][labels[place]]))
        right += w * (p[place].argmax() == labels[place])
        total += w
    return sum(losses) / count, right / total


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("mask", [None, np.array([[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]], bool)])
def test_classes_by_hand(weights, mask):
    p = keras.ops.convert_to_tensor(P)
    if mask is not None:
        p = keras.layers.Masking()(p)  # any layer's mask; here it is set to ours
        p._keras_mask = keras.ops.convert_to_tensor(mask)
    loss, accuracy = by_hand(LABELS, P, weights, mask)
    w = None if weights is None else keras.ops.convert_to_tensor(weights)
    assert number(SparseCategoricalCrossentropy()(LABELS, p, w)) == pytest.approx(loss, rel=1e-5)
    metric = SparseCategoricalAccuracy()
    metric.update_state(LABELS, p, w)
    assert number(metric.result()) == pytest.approx(accuracy, rel=1e-5)
    # Negative control: the padding counted as class 0.
    plain = keras.losses.SparseCategoricalCrossentropy()(np.maximum(LABELS, 0), P, weights)
    assert abs(number(plain) - loss) > 0.01


def test_logits_last_axis_and_halves():
    logits = np.log(P) + 3
    loss = SparseCategoricalCrossentropy(from_logits=True)
    expected, _ = by_hand(LABELS, P)
    assert number(loss(LABELS[..., None], logits)) == pytest.approx(expected, rel=1e-4)
    assert number(loss(LABELS, logits.astype("float16"))) == pytest.approx(expected, rel=1e-2)
    wide = np.full((1, 1, 3000), 1 / 3000, "float16")
    wide[0, 0, 2049] = 0.5  # which a half, as Keras casts labels, cannot tell from 2048
    keras.config.set_floatx("float16")
    try:
        found = number(SparseCategoricalCrossentropy()(np.array([[2049]]), wide))
    finally:
        keras.config.set_floatx("float32")
    assert found < 1.2
    nothing = np.full_like(LABELS, -1)
    assert number(SparseCategoricalCrossentropy()(nothing, P)) == 0


def test_batches_of_other_lengths_count_by_label():
    metric, right, count = SparseCategoricalAccuracy(), 0, 0
    for length in (1, 7, 3):
        labels = RNG.integers(-1, 3, (2, length))
        p = RNG.random((2, length, 3)).astype("float32")
        metric.update_state(labels, p)
        right += ((p.argmax(-1) == labels) & (labels >= 0)).sum()
        count += (labels >= 0).sum()
    assert number(metric.result()) == pytest.approx(right / count)
    metric.reset_state()
    assert number(metric.result()) == 0


def test_yes_or_no_labels_by_hand():
    y = np.array([[[1, 0], [1, -1]], [[0, 0], [-1, -1]]])
    p = RNG.uniform(0.1, 0.9, (2, 2, 2)).astype("float32")
    one = np.where(y == 1, -np.log(p), -np.log(1 - p))
    expected = np.mean([one[0, 0].mean(), one[0, 1, 0], one[1, 0].mean()])
    assert number(BinaryCrossentropy()(y, p)) == pytest.approx(expected, rel=1e-5)
    logits = np.log(p / (1 - p))
    assert number(BinaryCrossentropy(True)(y, logits)) == pytest.approx(expected, rel=1e-4)
    metric = BinaryAccuracy()
    metric.update_state(y, p)
    real = y >= 0
    right = ((p > 0.5) == (y > 0))[real].mean()
    assert number(metric.result()) == pytest.approx(right)


def test_saved_and_loaded():
    x = keras.Input((None, 4))
    model = keras.Model(x, keras.layers.Dense(3, "softmax")(x))
    model.compile("adam", SparseCategoricalCrossentropy(), metrics=[SparseCategoricalAccuracy()])
    made = keras.losses.deserialize(keras.losses.serialize(BinaryCrossentropy(from_logits=True)))
    assert made.from_logits
    again = keras.metrics.deserialize(keras.metrics.serialize(BinaryAccuracy(0.0)))
    assert again.threshold == 0
    loss = keras.losses.deserialize(keras.losses.serialize(SparseCategoricalCrossentropy()))
    assert isinstance(loss, SparseCategoricalCrossentropy)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SparseCategoricalCrossentropy()(LABELS[0], P), "one axis less than the scores"),
        (lambda: SparseCategoricalCrossentropy()(LABELS + 1, P), "classes are 0 to 2; below 0"),
        (lambda: SparseCategoricalAccuracy()(LABELS + 1, P), "classes are 0 to 2"),
        (lambda: BinaryCrossentropy()(LABELS[0], P), "labels of the shape of the predictions"),
    ],
)
def test_bad_labels(call, message):
    with pytest.raises(Exception, match=message):
        call()

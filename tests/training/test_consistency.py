"""Virtual adversarial training against random moves, R-Drop and unlabelled rows against numpy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.training import FGM, VAT, RDrop, RegularizedModel
from bert4keras.training.consistency import log_probabilities, weighted_mean
from helpers.regularizing import (
    IDS,
    LABELS,
    LOSS,
    gradients,
    moved_rows,
    norm,
    numpy,
    small_model,
    step_of,
)

pytestmark = pytest.mark.spread


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.sum(p * np.log(p / q), axis=-1)


def vat_move(technique: VAT, rate: float = 0.0):
    model = RegularizedModel(small_model(rate), [technique])
    step = step_of(model)
    vectors = step.embed()
    outputs = step.forward(vectors)[1][0]
    move = numpy(technique.perturbation(step, vectors, outputs)[0])
    return move, step, vectors, numpy(outputs)


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_direction(rate):
    """It moves the answers further than each of 100 random moves of the same length.

    Under dropout too, where the answers to compare have the same mask."""
    epsilon = 0.5
    move, step, vectors, before = vat_move(VAT(epsilon, xi=0.5), rate)
    np.testing.assert_array_equal(numpy(step.forward(vectors)[1][0]), before)  # the same mask

    def reached(move):
        assert abs(norm([move]) - epsilon) < 1e-4
        moved = [vectors[0] + ops.convert_to_tensor(move.astype("float32"))]
        return divergence(before, numpy(step.forward(moved)[1][0])).mean()

    rng = np.random.default_rng(3)
    draws = rng.normal(size=(100, *move.shape))
    others = [reached(draw * (epsilon / np.linalg.norm(draw))) for draw in draws]
    assert reached(move) > max(others)
    assert min(others) < others[0] < max(others)  # control: a random move is none of the best


def test_loss_and_gradient_by_hand():
    """L + weight KL(f(E) || f(E + d)), with d from the technique and f(E) held constant."""
    weight, plain, random_move = 0.7, small_model(), {}
    technique = VAT(0.9, xi=0.5, weight=weight)
    wrapped, perturbation = RegularizedModel(plain, [technique]), VAT.perturbation

    class Watched(VAT):
        def perturbation(self, *arguments):
            random_move["last"] = perturbation(self, *arguments)
            return random_move["last"]

    wrapped = RegularizedModel(plain, [Watched(0.9, xi=0.5, weight=weight)])
    found = gradients(wrapped)
    (move,) = map(numpy, random_move["last"])
    target, before = plain.predict(IDS, verbose=0), plain.get_weights()
    first, rows = gradients(plain), np.zeros_like(before[0])
    rows[IDS.ravel()] = move.reshape(-1, move.shape[-1])
    moved_rows(plain, rows)
    # The cross entropy to constant probabilities has the gradient of the divergence.
    second = gradients(plain, y=target, loss="categorical_crossentropy")
    plain.set_weights(before)
    for ours, a, b in zip(found, first, second, strict=True):
        np.testing.assert_allclose(ours, a + weight * b, atol=5e-6)
    assert max(np.abs(a - b).max() for a, b in zip(found, first, strict=True)) > 1e-3


def test_rows_without_a_label():
    """They take part in the divergence, and neither in the mean loss nor in the metrics."""
    labels, some = np.array([0, -1, 1, -1], "int32"), [0, 2]
    plain = small_model()
    expected = plain.predict(IDS, verbose=0)[some]
    loss = np.mean(-np.log(expected[[0, 1], labels[some]]))
    accuracy = np.mean(expected.argmax(1) == labels[some])
    model = RegularizedModel(plain, [VAT(0)])
    model.compile(loss=LOSS, metrics=["accuracy"])
    np.testing.assert_allclose(model.evaluate(IDS, labels, verbose=0), [loss, accuracy], rtol=1e-5)
    # Sample weights count on top, and a batch without any label has no loss.
    weights = np.array([2.0, 5.0, 0.0, 5.0], "float32")
    weighted = 2 * -np.log(expected[0, 0]) / 2
    found = model.evaluate(IDS, labels, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(found[0], weighted, rtol=1e-5)
    assert model.evaluate(IDS, np.full(4, -1), verbose=0)[0] == 0

    def trained(y):
        return gradients(RegularizedModel(small_model(), [VAT(0.5)]), y=y)

    none, known = trained(np.full(4, -1, "int32")), trained(labels)
    assert 1e-4 < norm(none) < norm(known)


def test_r_drop_by_numpy():
    """On answers under two masks of each row."""
    technique, weights = RDrop(alpha=3.0), np.array([1.0, 0.5, 0.0, 2.0], "float32")
    for given in (None, weights):
        step = step_of(RegularizedModel(small_model(rate=0.5), [technique]), weights=given)
        value, (outputs, _) = step.forward(step.embed())
        p, q = np.split(numpy(outputs), 2)
        assert np.abs(p - q).max() > 0.01  # two masks
        w = np.ones(4) if given is None else given
        rows = np.arange(4)
        cross = -(np.log(p[rows, LABELS]) + np.log(q[rows, LABELS])) / 2
        both = divergence(p, q) + divergence(q, p)
        expected = np.mean(w * cross) + 3 / 4 * np.mean(w * both)
        np.testing.assert_allclose(numpy(value), expected, rtol=1e-5)
        assert np.mean(w * both) > 1e-3
        np.testing.assert_array_equal(numpy(technique.metric_outputs(outputs)), p)


def test_r_drop_without_dropout_is_plain():
    found, plain = gradients(RegularizedModel(small_model(), [RDrop()])), gradients(small_model())
    for ours, theirs in zip(found, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(
    ("technique", "rows"), [(RDrop(), 4), (FGM(), 4), (VAT(), 4)], ids=lambda x: str(x)[:5]
)
def test_metrics_see_the_rows_that_came_in(technique, rows):
    model = RegularizedModel(small_model(rate=0.2), [technique])
    seen = []

    def count(y, p):
        seen.append(tuple(p.shape))
        return ops.mean(p, axis=-1)

    model.compile("sgd", LOSS, metrics=[count], run_eagerly=True)
    model.train_on_batch(IDS, LABELS)
    assert seen[-1] == (rows, 3)


def test_probabilities_and_scores():
    """Of several classes and of one against another; the compiled loss says which they are."""
    scores = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    exact = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    np.testing.assert_allclose(numpy(log_probabilities(scores, True)), exact, atol=1e-6)
    np.testing.assert_allclose(numpy(log_probabilities(np.exp(exact), False)), exact, atol=1e-6)
    one, p = scores[:, :1], 1 / (1 + np.exp(-scores[:, :1]))
    two = np.log(np.concatenate([1 - p, p], -1))
    np.testing.assert_allclose(numpy(log_probabilities(one, True)), two, atol=1e-6)
    np.testing.assert_allclose(numpy(log_probabilities(p, False)), two, atol=1e-5)
    model = RegularizedModel(small_model(activation="linear"), [VAT()])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    step = object.__new__(type(step_of(RegularizedModel(small_model(), [VAT()]))))
    step.model = model
    assert step.from_logits(None)
    assert not step.from_logits(False)
    model.compile(loss=LOSS)
    assert not step.from_logits(None)


def test_weights_of_sequences():
    values = np.arange(6, dtype="float32").reshape(2, 3)
    for weights in (np.array([1.0, 3.0]), np.array([[1.0], [3.0]]), np.ones((2, 3))):
        expected = np.mean(values * weights.reshape(2, -1))
        found = weighted_mean(ops.convert_to_tensor(values), ops.convert_to_tensor(weights))
        np.testing.assert_allclose(numpy(found), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VAT(-1), r"VAT\(epsilon=-1\)"),
        (lambda: VAT(xi=0), r"VAT\(xi=0\)"),
        (lambda: VAT(iterations=0), r"VAT\(iterations=0\)"),
        (lambda: VAT(weight=-0.5), r"VAT\(weight=-0.5\)"),
        (lambda: RDrop(-1), r"RDrop\(alpha=-1\)"),
    ],
)
def test_wrong_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()

"""Invertible residual blocks: series of the log-determinant, roulette, Lipschitz bound."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import InvertibleResidual, InvertibleResNet
from bert4keras.training.gradients import value_and_grad

D = 4


def steep_block(units=8, coefficient=0.9):
    """Return a block with a Lipschitz constant near the bound, and points (6, D)."""
    rng = np.random.default_rng(0)
    block = InvertibleResidual(units, coefficient)
    block.build((None, D))
    first = 3 * rng.normal(size=(D, units))
    last = first.T @ np.diag([-1, 1, -1, 1]) + rng.normal(size=(units, D))
    block.set_weights([first, np.full(units, -0.5), last, rng.normal(size=D)])
    return block, ops.convert_to_tensor(rng.normal(size=(6, D)).astype("float32"))


def each_probe(x):
    """Repeat each point for each unit vector times sqrt(D): their mean v J v^T is the trace."""
    probes = np.tile(np.sqrt(D) * np.eye(D), (len(x), 1))
    return ops.repeat(x, D, axis=0), ops.convert_to_tensor(probes, "float32")


def exact(block, x):
    """Log-determinants (B,) of the Jacobians by automatic differentiation."""
    rows = [value_and_grad(lambda y, j=j: ops.sum(block(y)[0][:, j]), [x])[1][0] for j in range(D)]
    return np.linalg.slogdet(np.stack([ops.convert_to_numpy(row) for row in rows], 1))[1]


@pytest.mark.parametrize("units", [2, 8])  # the smaller determinant is H by H, then D by D
def test_the_series_converges_to_the_exact_log_determinant(units):
    block, x = steep_block(units)
    expected = exact(block, x)
    np.testing.assert_allclose(ops.convert_to_numpy(block(x)[1]), expected, atol=1e-5)
    points, probes = each_probe(x)

    def series(terms):
        found = ops.convert_to_numpy(block.estimated_log_det(points, probes, terms))
        return found.reshape(-1, D).mean(1)

    np.testing.assert_allclose(series(120), expected, atol=1e-5)
    assert np.abs(series(2) - expected).max() > 0.01
    assert np.ptp(expected) > 0.02


class Estimates(keras.Model):
    """The estimate in a compiled function; each batch has its own number of terms."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def call(self, inputs):
        return self.block.estimated_log_det(*inputs)


def test_the_roulette_is_unbiased_and_a_short_series_is_not():
    block, x = steep_block()
    points, probes = (ops.convert_to_numpy(y) for y in each_probe(x[:1]))
    expected = exact(block, x[:1])[0]
    block.terms, calls = 1, 400
    inputs = [np.tile(y, (calls, 1)) for y in (points, probes)]
    found = Estimates(block).predict(inputs, batch_size=D, verbose=0)
    draws = found.reshape(calls, D).mean(1)
    error = np.std(draws) / np.sqrt(calls)
    assert 0 < error < 0.05
    assert abs(np.mean(draws) - expected) < 4 * error
    short = ops.convert_to_numpy(block.estimated_log_det(*each_probe(x[:1]), 1)).mean()
    assert abs(short - expected) > 4 * error


def test_the_gradient_of_the_series_is_that_of_the_determinant():
    block, x = steep_block()
    points, probes = each_probe(x)
    estimate = lambda y: ops.sum(block.estimated_log_det(y, probes, 120)) / D  # noqa: E731
    _, (gradient,) = value_and_grad(estimate, [points])
    gradient = ops.convert_to_numpy(gradient).reshape(-1, D, D).sum(1)
    _, (expected,) = value_and_grad(lambda y: ops.sum(block(y)[1]), [x])
    expected = ops.convert_to_numpy(expected)
    np.testing.assert_allclose(gradient, expected, atol=1e-4)
    assert np.abs(expected).max() > 0.01


@pytest.mark.spread
def test_training_with_the_roulette_lowers_the_exact_energy():
    x = np.random.default_rng(1).normal(size=(256, 3)).astype("float32")
    x[:, 0] += x[:, 1] ** 2
    flow = InvertibleResNet(3, 16)
    flow.compile(keras.optimizers.Adam(0.01))
    flow.fit(x, batch_size=256, epochs=1, verbose=0)
    before = flow.evaluate(x, verbose=0)
    history = flow.fit(x, batch_size=64, epochs=10, verbose=0).history["loss"]
    after = flow.evaluate(x, verbose=0)
    assert after < before - 0.1
    np.testing.assert_allclose(after, flow.predict(x, verbose=0).mean(), atol=1e-4)
    assert abs(history[-1] - after) < 0.5  # the estimate in training is of the same quantity


@pytest.mark.spread
def test_no_pair_of_the_residual_moves_faster_than_the_coefficient():
    block, _ = steep_block()
    x, y = np.random.default_rng(2).normal(size=(2, 2000, D)).astype("float32")
    y[:1000] = x[:1000] + 0.01 * y[:1000]

    def moved(z):
        return ops.convert_to_numpy(block(z)[0]) - z

    ratios = np.linalg.norm(moved(x) - moved(y), axis=1) / np.linalg.norm(x - y, axis=1)
    assert 0.3 < ratios.max() <= 0.9 * (1 + 1e-4)
    loose = np.linalg.norm(block.first.get_weights()[0], 2)
    assert loose * np.linalg.norm(block.last.get_weights()[0], 2) > 5  # without the bound


def test_the_inverse_of_a_steep_block_converges():
    block, x = steep_block(coefficient=0.98)
    z, _ = block(x)
    back = ops.convert_to_numpy(block.inverse(z))
    np.testing.assert_allclose(back, ops.convert_to_numpy(x), atol=2e-5)
    once = ops.convert_to_numpy(2 * z - block(z)[0])  # one step of the iteration
    assert np.abs(once - ops.convert_to_numpy(x)).max() > 0.05


@pytest.mark.spread
@pytest.mark.parametrize("coefficient", [0.0, 1.0, -0.5])
def test_a_coefficient_without_an_inverse_is_named(coefficient):
    with pytest.raises(ValueError, match=r"coefficient=.* must be between 0 and 1, or x \+ g\(x\)"):
        InvertibleResidual(4, coefficient)

"""Bottlenecks, the prior of codes, and posteriors, against sums over all codes."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import (
    GaussianBottleneck,
    GumbelBottleneck,
    VectorQuantizedBottleneck,
)
from bert4keras.latent.code_prior import CodePrior
from bert4keras.latent.posterior import CodePosterior, GaussianPosterior
from bert4keras.optimizers import PiecewiseLinear

RNG = np.random.default_rng(4)
TABLE = RNG.normal(size=(2, 3, 4)).astype("float32")  # M = 2 codes of K = 3 values
ALL = np.array(list(itertools.product(range(3), repeat=2)))


def numbers(x) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(x))


def trained_prior() -> CodePrior:
    """A prior with random weights."""
    prior = CodePrior(3)
    prior.build((None, 2, 4))
    for weight in prior.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return prior


def codes_of(logs: np.ndarray, prior: CodePrior) -> CodePosterior:
    return CodePosterior(logs, TABLE, prior)


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - np.logaddexp.reduce(x, axis=-1, keepdims=True)


def test_the_prior_of_codes_is_normalised_and_looks_back_only():
    prior = trained_prior()
    uniform = codes_of(np.zeros((9, 2, 3)), prior)  # log q = 0, so the ratio is log p
    assert np.exp(uniform.log_ratio(ALL)).sum() == pytest.approx(1, abs=1e-5)
    vectors = RNG.normal(size=(1, 2, 4)).astype("float32")
    before = numbers(prior(vectors))
    later, earlier = vectors.copy(), vectors.copy()
    later[:, 1] += 1
    earlier[:, 0] += 1
    np.testing.assert_array_equal(numbers(prior(later)), before)
    moved = numbers(prior(earlier))
    np.testing.assert_array_equal(moved[:, 0], before[:, 0])
    assert np.abs(moved[:, 1] - before[:, 1]).max() > 0.01


def test_draws_of_the_prior_have_its_frequencies():
    prior = trained_prior()
    log_p = codes_of(np.zeros((9, 2, 3)), prior).log_ratio(ALL)
    drawn = prior.draw(TABLE, 4000, np.random.default_rng(1))
    wanted = TABLE[np.arange(2), ALL]
    share = (np.abs(drawn[:, None] - wanted[None]).max(axis=(2, 3)) == 0).mean(axis=0)
    np.testing.assert_allclose(share, np.exp(log_p), atol=0.03)
    assert np.abs(np.exp(log_p) - 1 / 9).max() > 0.03  # far from uniform


def test_the_kl_of_codes_is_that_of_a_sum_over_all_codes():
    prior = trained_prior()
    logs = log_softmax(RNG.normal(size=(1, 2, 3)) * 2)
    posterior = codes_of(logs, prior)
    log_q = logs[0, 0, ALL[:, 0]] + logs[0, 1, ALL[:, 1]]
    log_p = codes_of(np.zeros((9, 2, 3)), prior).log_ratio(ALL)
    exact = (np.exp(log_q) * (log_q - log_p)).sum()
    by_code = [posterior.kl(point[None])[0] for point in ALL]
    assert (np.exp(log_q) * by_code).sum() == pytest.approx(exact, abs=1e-5)
    ratios = [posterior.log_ratio(point[None])[0] for point in ALL]
    np.testing.assert_allclose(ratios, log_p - log_q, atol=1e-5)


def test_the_kl_of_a_gaussian_is_that_of_many_draws():
    mean, log_var = RNG.normal(size=(1, 3)), RNG.normal(size=(1, 3))
    posterior = GaussianPosterior(np.repeat(mean, 20000, 0), np.repeat(log_var, 20000, 0))
    points = posterior.draw(np.random.default_rng(2))
    kl = posterior.kl(points)[0]
    assert -posterior.log_ratio(points).mean() == pytest.approx(kl, abs=0.05)


def test_the_information_of_codes_is_their_entropy_if_they_are_certain():
    certain = np.where(np.eye(3)[[[0, 1], [0, 1], [2, 2], [1, 0]]] > 0, 0.0, -np.inf)
    found = codes_of(certain, trained_prior()).mutual_information()
    assert found == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(4))
    unknown = np.full((4, 2, 3), -np.log(3))
    assert codes_of(unknown, trained_prior()).mutual_information() == pytest.approx(0, abs=1e-9)


def test_gaussian_penalty_is_the_weighted_kl_and_its_weight_rises():
    layer = GaussianBottleneck(3, kl_weight=PiecewiseLinear(1.0, {4: 1.0}))
    h = RNG.normal(size=(5, 6)).astype("float32")
    weights = []
    for _ in range(6):
        z, parameters = layer(h, training=True)
        kl = layer.posterior(numbers(parameters)).kl(numbers(z)).mean()
        weights.append(float(numbers(sum(layer.losses))) / kl)
    np.testing.assert_allclose(weights, [0, 0.25, 0.5, 0.75, 1, 1], atol=1e-4)
    first, second = (numbers(layer(h, training=False)[0]) for _ in range(2))
    assert np.std(first - second) > 0.01  # drawn, not the mode


def test_free_bits_are_the_least_penalty():
    h = np.zeros((4, 6), "float32")
    gaussian = GaussianBottleneck(3, free_bits=0.7)
    gumbel = GumbelBottleneck(2, 3, 4, free_bits=0.7)
    for layer, units in ((gaussian, 3), (gumbel, 2)):
        layer(h)
        assert float(numbers(sum(layer.losses))) == pytest.approx(0.7 * units, abs=1e-5)


def test_gumbel_penalty_is_the_kl_of_the_draw():
    layer = GumbelBottleneck(2, 3, 4)
    h = RNG.normal(size=(5, 6)).astype("float32") * 3
    layer(h)
    layer.prior.kernel.assign(RNG.normal(size=layer.prior.kernel.shape))
    z, parameters = layer(h, training=False)
    posterior = layer.posterior(numbers(parameters))
    drawn = [
        next(i for i in range(9) if np.allclose(posterior.embed(ALL[i]), row, atol=1e-6))
        for row in numbers(z)
    ]
    kl = posterior.kl(ALL[drawn]).mean()
    assert float(numbers(sum(layer.losses))) == pytest.approx(kl, rel=1e-4)


def test_quantised_penalty_is_minus_log_prior_and_trains_the_prior_only():
    layer = VectorQuantizedBottleneck(2, 3, 4, gamma=0.0)
    h = RNG.normal(size=(8, 6)).astype("float32")
    layer(h, training=True)
    layer.prior.bias.assign(RNG.normal(size=(2, 3)))
    z, parameters = layer(h, training=False)
    posterior = layer.posterior(numbers(parameters))
    np.testing.assert_allclose(posterior.embed(posterior.mode), numbers(z), atol=1e-6)
    log_p = posterior.log_ratio(posterior.mode)
    assert float(numbers(sum(layer.losses))) == pytest.approx(-log_p.mean(), rel=1e-4)
    assert np.ptp(log_p) > 0.1


@pytest.mark.spread
@pytest.mark.parametrize(
    "layer",
    [
        GaussianBottleneck(3, PiecewiseLinear(1.0, {4: 1.0}), 0.1, 1),
        GumbelBottleneck(2, 3, 4, PiecewiseLinear(1.0, {0: 1.0, 9: 0.5}), False, 0.5, 0.1, 1),
        VectorQuantizedBottleneck(2, 3, 4, 0.1, False, 1),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_saved_bottleneck_is_the_same(layer, tmp_path):
    given = keras.Input((6,))
    model = keras.Model(given, layer(given)[1])
    h = RNG.normal(size=(4, 6)).astype("float32")
    model(h, training=True)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(numbers(again(h)), numbers(model(h)))
    assert again.layers[-1].get_config() == layer.get_config()


@pytest.mark.spread
def test_sizes_below_one():
    with pytest.raises(ValueError, match="size=0 must be at least 1"):
        GaussianBottleneck(0)
    with pytest.raises(ValueError, match="values=0 must be at least 1"):
        GumbelBottleneck(values=0)


@pytest.mark.spread
def test_spherical_walks_keep_the_length_and_codes_change_one_by_one():
    mean = np.array([[3.0, 0, 0], [0, 3, 0]])
    posterior = GaussianPosterior(mean, np.zeros_like(mean))
    lengths = np.linalg.norm(posterior.between(0, 1, 5, True), axis=1)
    np.testing.assert_allclose(lengths, 3)
    assert np.linalg.norm(posterior.between(0, 1, 5, False)[2]) < 2.2
    logs = np.log(np.eye(3)[[[0, 1], [2, 2]]] + 1e-9)
    found = codes_of(logs, trained_prior()).between(0, 1, 3, False)
    assert found.tolist() == [[0, 1], [2, 1], [2, 2]]

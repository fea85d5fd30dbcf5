"""The variational autoencoder of vectors, against the exact linear-Gaussian model."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import VAE
from bert4keras.optimizers import PiecewiseLinear

RNG = np.random.default_rng(0)
# x = W z + b + noise of variance v; columns of W are orthogonal, so the posterior is diagonal.
W = np.linalg.qr(RNG.normal(size=(4, 2)))[0] * [1.5, 0.7]
SHIFT, VARIANCE = np.array([0.3, -1.0, 0.0, 2.0]), 0.4
X = (RNG.normal(size=(60, 2)) @ W.T + SHIFT + VARIANCE**0.5 * RNG.normal(size=(60, 4))).astype(
    "float32"
)


def exact_log_prob(x):
    covariance = W @ W.T + VARIANCE * np.eye(4)
    d = x - SHIFT
    quadratic = np.einsum("nd,de,ne->n", d, np.linalg.inv(covariance), d)
    return -(quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1]) / 2


def linear_gaussian(mean_factor=1.0, extra=0.0):
    """A VAE that is this model; the encoder is exact unless it is spoilt."""
    vae = VAE(2, hidden=(), variance=VARIANCE)
    vae.build((None, 4))
    scales = (W**2).sum(0) + VARIANCE
    to_mean = W / scales * mean_factor
    kernel = np.concatenate([to_mean, np.zeros((4, 2))], axis=1)
    bias = np.concatenate([-SHIFT @ to_mean, np.log(VARIANCE / scales) + extra])
    vae.encoder.set_weights([kernel, bias])
    vae.decoder.set_weights([W.T, SHIFT])
    return vae


def test_the_bound_of_an_exact_encoder_is_the_likelihood():
    vae, exact = linear_gaussian(), exact_log_prob(X)
    for samples in (1, 5):
        np.testing.assert_allclose(vae.log_prob(X, samples), exact, atol=1e-4)
    # So is the energy: its noise has the moments that a quadratic function asks for.
    np.testing.assert_allclose(vae.predict(X, verbose=0), -exact, atol=1e-3)
    other = linear_gaussian()
    other.log_variance.assign(other.log_variance + 0.1)
    assert np.abs(other.log_prob(X, 5) - exact).max() > 0.1


def test_the_bound_rises_with_the_samples_to_the_likelihood():
    vae, exact = linear_gaussian(0.7, 0.6), exact_log_prob(X)
    bounds = [
        np.mean([vae.log_prob(X, samples, seed).mean() for seed in range(8)])
        for samples in (1, 4, 16, 1000)
    ]
    assert all(low + 0.01 < high for low, high in itertools.pairwise(bounds))
    assert abs(bounds[-1] - exact.mean()) < 0.01
    assert exact.mean() - bounds[0] > 0.1


def test_the_energy_of_a_vector_does_not_depend_on_the_others():
    vae = linear_gaussian(0.7, 0.6)
    vae.compile(keras.optimizers.Adam(0.01))
    together = vae.predict(X, batch_size=60, verbose=0)
    apart = vae.predict(X[::-1].copy(), batch_size=7, verbose=0)[::-1]
    np.testing.assert_allclose(apart, together, rtol=1e-5)
    np.testing.assert_allclose(vae.evaluate(X, verbose=0), together.mean(), rtol=1e-4)
    training = ops.convert_to_numpy(vae(X, training=True))
    assert np.abs(training - together).max() > 0.1  # other noise


def data(count, seed=3):
    """Vectors near a curve in 6 dimensions, of a scale like that of sentence vectors."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-2, 2, size=(count, 1))
    x = np.concatenate([t, np.sin(2 * t), np.cos(2 * t), t**2, 0 * t, 1 - t], axis=1)
    return (0.05 * (x + 0.1 * rng.normal(size=x.shape))).astype("float32")


@pytest.mark.spread
def test_training_finds_the_data_and_the_file_has_the_model(tmp_path):
    weight = PiecewiseLinear(1.0, {0: 0.1, 20: 1.0})
    vae = VAE(2, hidden=(32,), kl_weight=weight)
    vae.compile(keras.optimizers.Adam(0.03))
    x, others = data(512), data(200, seed=4)
    vae.fit(x, batch_size=64, epochs=25, verbose=0)
    assert int(vae.annealing.step.value) == 200
    found = vae.diagnostics(others, samples=32)
    gaussian = np.cov(x.T)
    entropy = (np.linalg.slogdet(2 * np.pi * gaussian)[1] + 6) / 2
    assert found["elbo"] > -entropy  # better than the best Gaussian
    assert found["elbo"] < found["importance_weighted"]
    assert 0.5 < found["mutual_information"] <= found["kl"] + 0.1
    assert 1 <= found["active_units"] <= 2
    known, unknown = (vae.predict(v, verbose=0) for v in (others, others[:, ::-1].copy()))
    assert np.median(unknown) > np.quantile(known, 0.95)
    samples = vae.sample(500, seed=1)
    np.testing.assert_allclose(samples.mean(0), x.mean(0), atol=0.03)
    np.testing.assert_array_equal(samples, vae.sample(500, seed=1))
    vae.save(tmp_path / "vae.keras")
    again = keras.models.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(again.predict(others, verbose=0), known, rtol=1e-5)
    assert again.get_config() == vae.get_config()
    codes = vae.encode(others)[0]
    assert np.abs(ops.convert_to_numpy(vae.decode(codes)) - others).mean() < 0.02


@pytest.mark.spread
def test_free_bits_keep_codes_in_use():
    kl = {}
    for bits in (0.0, 0.5):
        vae = VAE(2, hidden=(), variance=1e3, free_bits=bits)  # reconstruction counts for nothing
        vae.build((None, 4))
        vae.compile(keras.optimizers.Adam(0.05))
        vae.fit(X, batch_size=30, epochs=30, verbose=0)
        kl[bits] = vae.diagnostics(X, samples=1)["kl"]
    assert kl[0.0] < 0.02
    assert kl[0.5] > 10 * kl[0.0]


@pytest.mark.spread
def test_bad_options_are_refused():
    with pytest.raises(ValueError, match=r"variance=0 must be above 0, or None to learn it"):
        VAE(variance=0)
    with pytest.raises(ValueError, match=r"latent_size=0 must be at least 1"):
        VAE(0)
    with pytest.raises(ValueError, match=r"samples=3 must be 2, 4, 6, \.\.\.: half of them mirror"):
        VAE(samples=3)
    with pytest.raises(ValueError, match=r"takes vectors \(B, D\), not \(None, 3, 4\)"):
        VAE(name="vae").build((None, 3, 4))

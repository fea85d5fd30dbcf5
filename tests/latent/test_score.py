"""Denoising score matching against the exact score and energy of a Gaussian; sampling; files."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import ScoreModel

MEAN, VARIANCE = np.array([1.0, -1.0], "float32"), np.array([0.5, 1.0], "float32")
# On every backend the form whose loss needs a second derivative, on one backend the other.
FORMS = ("energy", pytest.param("score", marks=pytest.mark.spread(by="score")))


@functools.cache
def vectors() -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(4096, 2)).astype("float32")
    noise = (noise - noise.mean(0)) / noise.std(0)  # its moments are exact
    return MEAN + np.sqrt(VARIANCE) * noise


@functools.cache
def trained(form: str) -> ScoreModel:
    keras.utils.set_random_seed(1)
    model = ScoreModel(form, largest=5.0, levels=6, units=32, blocks=1)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 192)
    model.compile(keras.optimizers.Adam(rate))
    model.fit(vectors(), batch_size=256, epochs=12, verbose=0)
    return model


def deviation(model: ScoreModel, sigma: float, variance_of_noise: float) -> float:
    """Root mean square of sigma times (score - exact score), where vectors with noise lie."""
    x = vectors()[:1000]
    x = x + sigma * np.random.default_rng(1).normal(size=x.shape).astype("float32")
    exact = -(x - MEAN) / (VARIANCE + variance_of_noise)
    found = ops.convert_to_numpy(ops.stop_gradient(model.score(x, sigma)))
    return float(sigma * np.sqrt(np.mean((found - exact) ** 2)))


@pytest.mark.parametrize("form", FORMS)
def test_the_score_of_a_gaussian(form):
    """s(x, sigma) = -(x - mean) / (variance + sigma^2), at every level within 0.12 / sigma."""
    model = trained(form)
    for sigma in model.sigmas.tolist():
        assert deviation(model, sigma, sigma**2) < 0.12
    # Without the noise in the variance, or before training, it is another function.
    assert deviation(model, 1.0, 0.0) > 0.25
    untrained = ScoreModel(form)
    untrained(vectors()[:1])
    assert deviation(untrained, 1.0, 1.0) > 0.25


@pytest.mark.parametrize("form", FORMS)
def test_the_energy_of_a_gaussian(form):
    x = vectors()[:500]
    exact = (((x - MEAN) ** 2) / (VARIANCE + 0.1**2)).sum(1) / 2
    for order, least in ((x, 0.85), (x[::-1], None)):
        found = trained(form).predict(order, verbose=0)
        assert found.shape == (500,)
        agreement = np.corrcoef(found, exact)[0, 1]
        assert agreement > least if least else agreement < 0.3


def test_the_score_is_minus_the_gradient_of_the_energy():
    """By definition in one form; in the other the line integral must agree with a finite step."""
    x = vectors()[:8]
    model = trained("energy")
    numerical = np.stack(
        [
            (
                ops.convert_to_numpy(ops.stop_gradient(model.energy(x + step, 1.0)))
                - ops.convert_to_numpy(ops.stop_gradient(model.energy(x - step, 1.0)))
            )
            / 2e-2
            for step in 1e-2 * np.eye(2, dtype="float32")
        ],
        axis=1,
    )
    score = ops.convert_to_numpy(ops.stop_gradient(model.score(x, 1.0)))
    np.testing.assert_allclose(-numerical, score, atol=2e-3)
    assert np.abs(numerical - score).max() > 0.1

    # A network that returns 0 has the score -x / (1 + sigma^2), whose integral is known.
    plain = ScoreModel("score")
    found = ops.convert_to_numpy(ops.stop_gradient(plain(x)))
    np.testing.assert_allclose(found, (x**2).sum(1) / (2 * (1 + 0.1**2)), rtol=1e-5)


@pytest.mark.spread(by="score")
@pytest.mark.parametrize("form", FORMS)
def test_samples_have_the_moments_of_the_data(form):
    """Mean within 0.3, variance within 30 %; of the first noise it is 25."""
    found = trained(form).sample(1000, seed=3, steps=20)
    assert found.shape == (1000, 2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(0), MEAN, atol=0.3)
    np.testing.assert_allclose(found.var(0), VARIANCE, rtol=0.3)
    assert (trained(form).sample(1000, seed=3, steps=0).var(0) > 5).all()


def test_the_second_derivative_reaches_the_weights():
    """The loss of the energy form changes with each weight of F that the energy has."""
    model = ScoreModel(units=4, blocks=1)
    model(np.ones((2, 2), "float32"))
    model.last.kernel.assign(np.ones((4, 2)))
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(vectors()[:64], verbose=0)
    after = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    assert all((x != y).any() for x, y in zip(before, after, strict=True))


@pytest.mark.spread(by="score")
@pytest.mark.parametrize("form", FORMS)
def test_saved_and_loaded(form, tmp_path):
    model = trained(form)
    model.save(tmp_path / "score.keras")
    again = keras.saving.load_model(tmp_path / "score.keras")
    assert again.get_config() == model.get_config()
    x = vectors()[:9]
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    np.testing.assert_array_equal(again.sample(4, 0, 2), model.sample(4, 0, 2))


@pytest.mark.spread(by="score")
def test_evaluate_gives_the_loss_and_predict_the_energy():
    model = trained("score")
    assert abs(model.evaluate(vectors(), batch_size=4096, verbose=0) - 0.55) < 0.2
    assert ScoreModel(energy_level=2.0).get_config()["energy_level"] == 2.0
    at = ScoreModel("energy", energy_level=2.0)
    x = vectors()[:3]
    np.testing.assert_allclose(at.predict(x, verbose=0), (x**2).sum(1) / 10, rtol=1e-5)


@pytest.mark.spread
def test_mixed_precision_trains():
    model = ScoreModel(units=8, blocks=1, dtype="mixed_bfloat16")
    model.compile("adam")
    history = model.fit(vectors()[:128], epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert model.predict(vectors()[:3], verbose=0).dtype == np.float32


@pytest.mark.spread
def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="form='flow' must be 'energy' or 'score'"):
        ScoreModel("flow")
    with pytest.raises(ValueError, match=r"smallest=2\.0, largest=1\.0, levels=10: the"):
        ScoreModel(smallest=2.0, largest=1.0)
    with pytest.raises(ValueError, match="energy_level=-1 must be above 0"):
        ScoreModel(energy_level=-1)
    with pytest.raises(ValueError, match=r"no weights yet: call fit\(\) before sample"):
        ScoreModel().sample(2)

"""Reparameterised samples, divergences and annealing, against sampling and closed forms."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import (
    Annealing,
    GaussianSampling,
    GumbelSoftmax,
    categorical_kl,
    gaussian_kl,
    straight_through,
)
from bert4keras.optimizers import PiecewiseLinear
from bert4keras.training.gradients import value_and_grad

MEAN = np.array([[0.5, -1.0, 0.0], [2.0, 0.1, -0.3]], "float32")
LOG_VAR = np.array([[0.2, -2.0, 0.0], [-1.0, 0.5, 1.0]], "float32")
LOGITS = np.array([1.0, 0.0, -1.0, 0.5], "float32")
SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum()


def gradients(function, *arrays):
    found = value_and_grad(function, [ops.convert_to_tensor(array) for array in arrays])[1]
    return [ops.convert_to_numpy(gradient) for gradient in found]


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


def test_the_gaussian_divergence_is_that_of_samples():
    noise = np.random.default_rng(0).normal(size=(200_000, 1, 3))
    z = MEAN + np.exp(LOG_VAR / 2) * noise
    log_q = -((z - MEAN) ** 2 / np.exp(LOG_VAR) + LOG_VAR) / 2
    sampled = (log_q + z**2 / 2).sum(-1).mean(0)
    np.testing.assert_allclose(numbers(gaussian_kl(MEAN, LOG_VAR)), sampled, rtol=0.01)
    # With s in place of s^2 it is not.
    assert np.abs(numbers(gaussian_kl(MEAN, LOG_VAR / 2)) / sampled - 1).min() > 0.1


def test_free_bits_count_a_dimension_as_a_constant_below_them():
    each = (MEAN**2 + np.exp(LOG_VAR) - 1 - LOG_VAR) / 2
    means = each.mean(0)  # 0.86, 0.59, 0.09
    bits = 0.7
    found = numbers(gaussian_kl(MEAN, LOG_VAR, bits))
    np.testing.assert_allclose(found, each[:, 0] + 2 * bits, rtol=1e-5)
    np.testing.assert_allclose(found.mean(), np.maximum(means, bits).sum(), rtol=1e-5)
    (gradient,) = gradients(lambda mean: ops.sum(gaussian_kl(mean, LOG_VAR, bits)), MEAN)
    np.testing.assert_allclose(gradient, MEAN * [1, 0, 0], atol=1e-6)
    (gradient,) = gradients(lambda mean: ops.sum(gaussian_kl(mean, LOG_VAR)), MEAN)
    np.testing.assert_allclose(gradient, MEAN, atol=1e-6)


def test_the_divergence_of_categories_from_the_uniform():
    expected = (SOFTMAX * np.log(SOFTMAX * 4)).sum()
    np.testing.assert_allclose(numbers(categorical_kl(LOGITS[None])), [expected], rtol=1e-5)
    np.testing.assert_allclose(numbers(categorical_kl(np.zeros((2, 5), "float32"))), 0, atol=1e-6)


def test_gaussian_samples_have_the_mean_and_deviation_asked_for():
    layer = GaussianSampling(seed=1)
    means, logs = (np.repeat(x[:1], 20_000, axis=0) for x in (MEAN, LOG_VAR))
    z = numbers(layer([means, logs], training=True))
    np.testing.assert_allclose(z.mean(0), MEAN[0], atol=0.03)
    np.testing.assert_allclose(z.std(0), np.exp(LOG_VAR[0] / 2), rtol=0.03)
    again = numbers(layer([means, logs], sample=True))
    assert np.abs(again - z).mean() > 0.1  # other noise
    for quiet in (layer([means, logs]), layer([means, logs], training=True, sample=False)):
        np.testing.assert_array_equal(numbers(quiet), means)


def test_gradients_flow_through_gaussian_samples():
    seen = []

    def total(mean, log_var):
        z = GaussianSampling(seed=3)([mean, log_var], sample=True)
        return ops.sum(z), z

    pair = [ops.convert_to_tensor(MEAN), ops.convert_to_tensor(LOG_VAR)]
    (_, z), seen = value_and_grad(total, pair, has_aux=True)
    np.testing.assert_allclose(numbers(seen[0]), np.ones_like(MEAN), atol=1e-6)
    np.testing.assert_allclose(numbers(seen[1]), (numbers(z) - MEAN) / 2, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_hard_gumbel_samples_are_as_frequent_as_the_softmax_says(temperature):
    layer = GumbelSoftmax(temperature, hard=True, seed=0)
    y = numbers(layer(np.repeat(LOGITS[None], 20_000, axis=0), training=True))
    assert set(np.unique(y)) == {0, 1}
    assert (y.sum(1) == 1).all()
    np.testing.assert_allclose(y.mean(0), SOFTMAX, atol=0.014)  # 4 standard errors
    # Gaussian noise does not give these frequencies.
    noise = np.random.default_rng(0).normal(size=(20_000, 4))
    other = np.bincount((LOGITS + noise).argmax(1), minlength=4) / 20_000
    assert np.abs(other - SOFTMAX).max() > 0.03


def test_without_noise_gumbel_softmax_is_a_softmax():
    logits = LOGITS[None]
    soft = np.exp(logits / 0.5) / np.exp(logits / 0.5).sum()
    np.testing.assert_allclose(numbers(GumbelSoftmax(0.5)(logits)), soft, rtol=1e-5)
    np.testing.assert_array_equal(numbers(GumbelSoftmax(0.5, hard=True)(logits)), [[1, 0, 0, 0]])
    drawn = numbers(GumbelSoftmax(0.5, seed=0)(logits, sample=True))
    np.testing.assert_allclose(drawn.sum(), 1, rtol=1e-5)
    assert np.abs(drawn - soft).max() > 0.05


def test_hard_samples_have_the_gradient_of_soft_ones():
    rows, weights = np.repeat(LOGITS[None], 3, axis=0), ops.arange(12, dtype="float32")

    def total(hard):
        def of(logits):
            y = GumbelSoftmax(0.7, hard=hard, seed=5)(logits, sample=True)
            return ops.sum(ops.reshape(y, (-1,)) * weights)

        return of

    hard, soft = gradients(total(True), rows)[0], gradients(total(False), rows)[0]
    assert np.abs(soft).max() > 0.1
    np.testing.assert_allclose(hard, soft, rtol=1e-5)

    def without(logits):
        return ops.sum(logits) * 0 + ops.sum(ops.one_hot(ops.argmax(logits, axis=-1), 4))

    np.testing.assert_array_equal(gradients(without, rows)[0], 0)


def test_straight_through_has_one_value_and_another_gradient():
    forward = np.array([0.1, 1e6, -3.0], "float32")
    value = numbers(
        straight_through(ops.convert_to_tensor(forward), ops.convert_to_tensor(MEAN[0]))
    )
    np.testing.assert_array_equal(value, forward)  # to the last bit

    def total(forward, backward):
        return ops.sum(straight_through(forward, backward) * ops.arange(1, 4, dtype="float32"))

    of_forward, of_backward = gradients(total, forward, MEAN[0])
    np.testing.assert_array_equal(of_forward, 0)
    np.testing.assert_array_equal(of_backward, [1, 2, 3])


def annealed():
    x = keras.Input((1,))
    scale = keras.layers.Dense(1, kernel_initializer="ones")  # something to train
    model = keras.Model(x, Annealing(PiecewiseLinear(1.0, {8: 1.0}))(scale(x)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model


def test_annealing_counts_steps_of_fit_and_is_saved(tmp_path):
    model, ones = annealed(), np.ones((8, 1), "float32")
    assert model.predict(ones, verbose=0)[0, 0] == 0
    model.fit(ones, ones, batch_size=2, verbose=0)  # 4 steps
    np.testing.assert_allclose(model.predict(ones, verbose=0), 0.5)
    model.evaluate(ones, ones, verbose=0)
    np.testing.assert_allclose(model.predict(ones, verbose=0), 0.5)  # these are no steps
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(ones, verbose=0), 0.5)
    again.fit(ones, ones, batch_size=2, epochs=2, verbose=0)
    np.testing.assert_allclose(again.predict(ones, verbose=0), 1)


def test_the_temperature_follows_its_schedule():
    cooling = keras.optimizers.schedules.ExponentialDecay(2.0, 1, 0.5)
    layer = GumbelSoftmax(cooling)
    for temperature in (2.0, 1.0, 0.5):
        expected = np.exp(LOGITS / temperature) / np.exp(LOGITS / temperature).sum()
        np.testing.assert_allclose(numbers(layer(LOGITS[None]))[0], expected, rtol=1e-5)
        layer(LOGITS[None], training=True)


@pytest.mark.spread
def test_layers_are_saved_with_their_options(tmp_path):
    logits = keras.Input((4,))
    cooling = keras.optimizers.schedules.ExponentialDecay(2.0, 10, 0.5)
    y = GumbelSoftmax(cooling, hard=True, seed=4)(logits)
    z = GaussianSampling(seed=2)([y, logits])
    model = keras.Model(logits, z)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[1].get_config() == model.layers[1].get_config()
    assert again.layers[1].temperature.schedule.decay_steps == 10
    assert again.layers[2].seed == 2
    np.testing.assert_array_equal(again.predict(LOGITS[None], verbose=0), [[1, 0, 0, 0]])


@pytest.mark.spread
def test_half_precision_samples_are_finite():
    layer = GumbelSoftmax(0.1, seed=0, dtype="mixed_float16")
    y = layer(np.repeat(100 * LOGITS[None], 1000, axis=0), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    assert np.isfinite(numbers(y)).all()


@pytest.mark.spread
def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"temperature=0 must be above 0, or a schedule"):
        GumbelSoftmax(0)

"""Spectral norms against singular values, and the Lipschitz ratio of layers on pairs of inputs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import (
    LipschitzDense,
    SpectralNormPenalty,
    spectral_norm,
    spectral_norm_bound,
)
from bert4keras.training.gradients import value_and_grad

RNG = np.random.default_rng(0)
SHAPES = [(7, 7), (30, 5), (5, 30), (1, 4)]


def kernel_of(shape):
    return RNG.normal(size=shape).astype("float32")


def ratio(layer, kernel=None, pairs=256):
    """Return the largest ratio of distances after and before, of pairs near and far.

    With a kernel, half of the pairs differ along its first singular vector: the worst case.
    """
    size = layer.input_spec.axes[-1]
    x, y = RNG.normal(size=(2, pairs, size))
    if kernel is not None:
        y[::2] = x[::2] + np.linalg.svd(kernel)[0][:, 0]
    x, y = x.astype("float32"), y.astype("float32")
    moved = layer(x) - layer(y)
    after = np.linalg.norm(ops.convert_to_numpy(moved), axis=1)
    return (after / np.linalg.norm(x - y, axis=1)).max()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_estimates_enclose_the_largest_singular_value(shape):
    kernel = kernel_of(shape)
    exact = np.linalg.norm(kernel, 2)
    below = float(spectral_norm(ops.convert_to_tensor(kernel), 200))
    above = [float(spectral_norm_bound(ops.convert_to_tensor(kernel), k)) for k in range(9)]
    np.testing.assert_allclose(below, exact, rtol=1e-3)
    assert exact * (1 - 1e-5) <= above[-1] <= exact * (1 + 1e-3)
    np.testing.assert_allclose(above[0], np.linalg.norm(kernel), rtol=1e-5)  # Frobenius norm
    assert (np.diff(above) <= 1e-5 * exact).all()
    assert float(spectral_norm(ops.convert_to_tensor(kernel), 1)) <= exact * (1 + 1e-5)


def test_extreme_kernels_have_finite_estimates():
    for kernel in (np.zeros((3, 4)), np.full((3, 4), 1e12), np.eye(4) * 1e-9):
        kernel = kernel.astype("float32")
        for estimate in (spectral_norm, spectral_norm_bound):
            found = float(estimate(ops.convert_to_tensor(kernel)))
            np.testing.assert_allclose(found, np.linalg.norm(kernel, 2), rtol=0.05, atol=1e-12)


def test_the_gradient_is_that_of_the_spectral_norm():
    kernel = kernel_of((6, 4))
    left, _, right = np.linalg.svd(kernel)
    for estimate in (lambda w: spectral_norm(w, 200), lambda w: spectral_norm_bound(w, 9)):
        _, (gradient,) = value_and_grad(estimate, [ops.convert_to_tensor(kernel)])
        exact = np.outer(left[:, 0], right[0])
        np.testing.assert_allclose(ops.convert_to_numpy(gradient), exact, atol=2e-3)


@pytest.mark.parametrize("bound", [1.0, 0.7])
def test_no_pair_moves_faster_than_the_bound(bound):
    layer = LipschitzDense(12, "elu", bound=bound, kernel_initializer="random_normal")
    model = keras.Sequential([keras.Input((9,)), layer, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    x = RNG.normal(size=(32, 9)).astype("float32")
    model.fit(x, 50 * x[:, :1], epochs=3, verbose=0)  # pulls the kernel far beyond the bound
    trained = np.array(layer.get_weights()[0])
    assert np.linalg.norm(trained, 2) > 2
    assert ratio(layer, trained) <= bound * (1 + 1e-5)
    kernel = ops.convert_to_numpy(layer.kernel)
    assert 0.97 * bound < np.linalg.norm(kernel, 2) <= bound * (1 + 1e-5)  # and the bound is tight
    plain = keras.layers.Dense(12, "elu")
    plain.build((None, 9))
    plain.set_weights(layer.get_weights())
    assert ratio(plain, trained) > 1.5 * bound


def test_a_kernel_within_the_bound_is_not_changed():
    layer = LipschitzDense(3, bound=2.0, kernel_initializer="orthogonal")
    layer.build((None, 3))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.kernel), layer.get_weights()[0])


@pytest.mark.spread
def test_one_step_of_power_iteration_guarantees_nothing():
    layer = keras.layers.SpectralNormalization(keras.layers.Dense(40))
    layer.build((None, 40))
    layer(np.ones((1, 40), "float32"), training=True)
    assert np.linalg.norm(np.array(layer.layer.get_weights()[0]), 2) > 1.1


def test_the_penalty_is_the_square_of_the_spectral_norm():
    kernel = kernel_of((6, 4))
    penalty = SpectralNormPenalty(0.1, 100)
    found = float(penalty(ops.convert_to_tensor(kernel)))
    np.testing.assert_allclose(found, 0.1 * np.linalg.norm(kernel, 2) ** 2, rtol=1e-3)
    assert abs(found - 0.1 * np.sum(kernel**2)) > 0.1  # not weight decay


@pytest.mark.spread
def test_a_saved_model_gives_the_same_numbers(tmp_path):
    penalty = SpectralNormPenalty(0.02, 7)
    head = [LipschitzDense(8, "tanh", 0.5, 7, kernel_regularizer=penalty), LipschitzDense(2)]
    model = keras.Sequential([keras.Input((5,)), *head])
    model.save(tmp_path / "head.keras")
    loaded = keras.models.load_model(tmp_path / "head.keras")
    x = kernel_of((4, 5))
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, rtol=1e-6)
    assert loaded.layers[0].get_config() == model.layers[0].get_config()


@pytest.mark.spread
def test_half_precision_does_not_reach_the_layer():
    keras.config.set_dtype_policy("mixed_float16")
    layer = LipschitzDense(4)
    assert keras.backend.standardize_dtype(layer(np.ones((2, 3), "float32")).dtype) == "float32"


@pytest.mark.spread
def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"'gelu' may stretch distances.*use one of elu, "):
        LipschitzDense(3, "gelu")
    for bound in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"bound=.* must be a positive number"):
            LipschitzDense(3, bound=bound)

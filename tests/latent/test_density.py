"""The base class of densities: training by `compile` and `fit`, weights of samples, messages."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import Density


class Gaussian(Density):
    """N(mean, I): the energy, up to a constant, is half the squared distance to the mean."""

    def build(self, shape):
        self.mean = self.add_weight(shape=(shape[-1],), initializer="zeros", name="mean")

    def call(self, x, training=None):
        return ops.sum(ops.square(x - self.mean), axis=-1) / 2


def test_the_mean_energy_is_minimised():
    x = np.random.default_rng(0).normal(3, 1, (256, 2)).astype("float32")
    density = Gaussian()
    density.compile(keras.optimizers.SGD(0.5))
    density.fit(x, batch_size=256, epochs=20, verbose=0)
    mean = x.mean(0)
    np.testing.assert_allclose(density.mean, mean, atol=1e-4)
    energies = ((x - mean) ** 2).sum(1) / 2
    np.testing.assert_allclose(density.predict(x, verbose=0), energies, atol=1e-3)
    np.testing.assert_allclose(density.evaluate(x, verbose=0), energies.mean(), atol=1e-3)


def test_weights_of_samples_count():
    x = np.array([[0.0], [4.0]], "float32")
    density = Gaussian()
    density.compile(keras.optimizers.SGD(0.5))
    weights = np.array([0.0, 2.0], "float32")
    density.fit(x, np.zeros(2), sample_weight=weights, epochs=20, verbose=0)
    np.testing.assert_allclose(density.mean, [4.0], atol=1e-3)  # without weights: 2


def test_what_a_subclass_lacks_is_named():
    with pytest.raises(NotImplementedError, match=r"Gaussian has no sample\(\)"):
        Gaussian().sample(3)
    with pytest.raises(NotImplementedError, match=r"Density must implement call\(\)"):
        Density.call(Density(), np.zeros((1, 2)))

"""The energy model: data below what is no data, Langevin steps, the bound of the information."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import EnergyGAN, langevin


def ring(count: int, seed: int) -> np.ndarray:
    """Points near a circle of radius 1.5."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, count)
    points = np.stack([np.cos(angle), np.sin(angle)], 1) * 1.5
    return (points + rng.normal(0, 0.1, points.shape)).astype("float32")


def auroc(known: np.ndarray, novel: np.ndarray) -> float:
    """Share of pairs in which the known vector has the lower energy."""
    return float((known[:, None] < novel).mean())


@pytest.mark.spread
def test_energies_rank_data_below_other_points():
    points = np.random.default_rng(5).uniform(-2.5, 2.5, (600, 2)).astype("float32")
    points = points[np.abs(np.linalg.norm(points, axis=1) - 1.5) > 0.4]
    energy = EnergyGAN(latent_size=2, hidden=(32, 32), penalty=0.1, noise=0.3)
    energy.build((None, 2))
    before = auroc(energy.predict(ring(300, 1), verbose=0), energy.predict(points, verbose=0))
    energy.compile(keras.optimizers.Adam(3e-3, beta_1=0.5))
    energy.fit(np.tile(ring(512, 0), (100, 1)), batch_size=128, verbose=0)
    after = auroc(energy.predict(ring(300, 1), verbose=0), energy.predict(points, verbose=0))
    assert before < 0.8 < 0.9 < after
    # The entropy keeps the generator on the whole ring.
    made = energy.sample(400, seed=0)
    quadrants = np.unique((made > 0) @ [1, 2], return_counts=True)[1]
    assert len(quadrants) == 4
    assert quadrants.min() > 20
    np.testing.assert_array_equal(energy.sample(3, 1, steps=2), energy.sample(3, 1, steps=2))
    assert not np.array_equal(energy.sample(3, 1, steps=2), energy.sample(3, 1))


def test_langevin_gives_the_gaussian_of_a_quadratic_energy():
    """Exactly the stationary variance of steps of this size, within four standard errors."""
    stiffness = np.array([0.5, 2.0], "float32")
    centre, size, chains = np.array([1.0, -2.0], "float32"), 0.4, 4000

    def gradient(x):
        return ops.convert_to_tensor(stiffness) * (x - ops.convert_to_tensor(centre))

    found = langevin(gradient, np.zeros((chains, 2)), steps=60, step_size=size, seed=0)
    variance = 1 / (stiffness * (1 - size * stiffness / 4))
    assert (np.abs(found.mean(0) - centre) < 4 * np.sqrt(variance / chains)).all()
    error = 4 * np.sqrt(2 / chains)
    np.testing.assert_allclose(found.var(0), variance, rtol=error)
    # The step counts: the limit of small steps is outside the error for the stiffer one.
    assert abs(found.var(0)[1] * stiffness[1] - 1) > error
    # Without the noise all chains would be in the minimum.
    still = langevin(lambda x: x, np.ones((8, 1)), steps=3, step_size=0.0, seed=0)
    np.testing.assert_array_equal(still, np.ones((8, 1)))


def test_the_bound_of_the_information_is_that_of_a_gaussian_channel():
    """x = z + noise e: exactly log(1 + 1 / noise^2) / 2; a wrong posterior gives less."""
    noise = 0.5
    energy = EnergyGAN(latent_size=1, hidden=(), noise=noise)
    energy.build((None, 1))
    z, e = np.random.default_rng(0).normal(size=(2, 20_000, 1)).astype("float32")
    x, tensor = ops.convert_to_tensor(z + noise * e), ops.convert_to_tensor(z)
    shrink = 1 / (1 + noise**2)
    variance = noise**2 * shrink
    kernel, bias = energy.posterior.trainable_variables
    exact = np.log(1 + 1 / noise**2) / 2

    def bound(slope: float, variance: float) -> float:
        kernel.assign([[slope, 0.0]])
        bias.assign([0.0, np.log(variance)])
        return float(ops.convert_to_numpy(energy.information(x, tensor)))

    assert bound(shrink, variance) == pytest.approx(exact, abs=0.02)
    assert bound(1.0, variance) < exact - 0.05
    assert bound(shrink, 2 * variance) < exact - 0.05


@pytest.mark.spread
def test_a_saved_model_gives_the_same(tmp_path):
    energy = EnergyGAN(latent_size=2, hidden=(8,), entropy=0.5, noise=0.2)
    energy.compile(keras.optimizers.Adam(1e-3))
    energy.fit(ring(64, 0), epochs=1, verbose=0)
    energy.save(tmp_path / "energy.keras")
    again = keras.models.load_model(tmp_path / "energy.keras")
    assert again.get_config() == energy.get_config()
    x = ring(8, 1)
    np.testing.assert_array_equal(again.predict(x, verbose=0), energy.predict(x, verbose=0))

"""GLANN: nearest samples by brute force, reconstruction against PCA, samples near the data."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import GLANN
from bert4keras.latent.glann import nearest_samples


def curve(count: int) -> np.ndarray:
    """Points of a closed curve in 6 dimensions: a circle and two weaker overtones."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    parts = [f(k * angle) / k**0.5 for k in (1, 2, 3) for f in (np.cos, np.sin)]
    return np.stack(parts, axis=1).astype("float32")


def test_the_nearest_sample_by_brute_force():
    rng = np.random.default_rng(0)
    codes, samples = (
        rng.normal(size=(20, 3)),
        rng.normal(size=(50, 3)) * rng.uniform(0.2, 3, (50, 1)),
    )
    codes, samples = (x.astype("float32") for x in (codes, samples))
    distances = np.linalg.norm(codes[:, None] - samples, axis=-1)
    found = ops.convert_to_numpy(nearest_samples(codes, samples))
    np.testing.assert_array_equal(found, distances.argmin(1))
    assert (found != (codes @ samples.T).argmax(1)).any()  # the norms of the samples count
    glann = GLANN(4, 2, latent_size=3)
    pull = ops.convert_to_numpy(glann.pull(*map(ops.convert_to_tensor, (codes, samples))))
    np.testing.assert_allclose(pull, np.square(distances.min(1)).mean(), rtol=1e-4)


@pytest.mark.spread
def test_it_reconstructs_and_generates_a_curve():
    x = curve(64)
    index = np.arange(64)
    glann = GLANN(64, 6, latent_size=2, hidden=(64,), candidates=4)
    glann.initialize_codes(x)
    glann.compile(keras.optimizers.Adam(1e-2), "mse")
    many = np.tile(index, 350), np.tile(x, (350, 1))  # an epoch costs more than its steps
    glann.fit(*many, batch_size=64, shuffle=False, verbose=0)
    error = np.square(glann.predict(index, verbose=0) - x).mean()
    # The best linear codes of the same size keep 2 of 6 directions.
    singular = np.linalg.svd(x - x.mean(0))[1]
    pca = np.square(singular[2:]).sum() / x.size
    assert error < pca / 3
    # A code belongs to its own vector.
    assert np.square(glann.predict(np.roll(index, 20), verbose=0) - x).mean() > 2 * pca

    def distance(points):
        return np.linalg.norm(points[:, None] - curve(512), axis=-1).min(1).mean()

    samples = glann.sample(200, seed=0)
    wide = np.random.default_rng(0).normal(0, 0.7, (200, 6))
    assert distance(samples) < 0.3 * distance(wide)
    np.testing.assert_array_equal(samples, glann.sample(200, seed=0))


@pytest.mark.spread
def test_a_saved_model_gives_the_same(tmp_path):
    glann = GLANN(8, 6, latent_size=2, hidden=(8,))
    glann.compile("adam", "mse")
    glann.fit(np.arange(8), curve(8), verbose=0)
    glann.save(tmp_path / "glann.keras")
    again = keras.models.load_model(tmp_path / "glann.keras")
    assert again.get_config() == glann.get_config()
    np.testing.assert_array_equal(again.sample(3, seed=0), glann.sample(3, seed=0))
    np.testing.assert_array_equal(*(m.predict(np.arange(8), verbose=0) for m in (again, glann)))


@pytest.mark.spread
@pytest.mark.parametrize("wrong", [{"count": 0}, {"latent_size": 1}, {"hidden": ()}])
def test_wrong_sizes_are_named(wrong):
    with pytest.raises(ValueError, match="GLANN needs count="):
        GLANN(**{"count": 3, "size": 2, **wrong})

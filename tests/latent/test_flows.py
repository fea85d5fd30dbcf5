"""Flows: inverse, log-determinant against the Jacobian, mass of the density, actnorm."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.latent import (
    ActNorm,
    Bijector,
    Flow,
    Glow,
    InvertibleLinear,
    InvertibleResNet,
    RealNVP,
)
from bert4keras.training.gradients import value_and_grad

FLOWS = {
    "realnvp": lambda blocks=3: RealNVP(blocks, 16),
    "glow": lambda blocks=3: Glow(blocks, 16, seed=0),
    "iresnet": lambda blocks=3: InvertibleResNet(blocks, 16),
}
D = 5


def random_flow(name, size=D, blocks=3):
    """Return a flow whose weights are far from those of the start, where couplings do nothing."""
    rng = np.random.default_rng(1)
    flow = FLOWS[name](blocks)
    flow.build((None, size))
    for weight in flow.trainable_weights:
        weight.assign(weight + 0.2 * rng.normal(size=weight.shape).astype("float32"))
    return flow


def vectors(count=32, size=D):
    return np.random.default_rng(2).normal(size=(count, size)).astype("float32")


def moons(count):
    """Two half circles with noise, (N, 2)."""
    rng = np.random.default_rng(3)
    angle, upper = rng.uniform(0, np.pi, count), rng.integers(0, 2, count)
    x = np.stack([np.cos(angle), np.sin(angle)], 1)
    x = np.where(upper[:, None], x, [1, 0.5] - x) + rng.normal(0, 0.1, (count, 2))
    return x.astype("float32")


@pytest.mark.parametrize("name", FLOWS)
def test_the_inverse_of_forward_is_the_identity(name):
    flow, x = random_flow(name), vectors()
    z, _ = flow.forward_and_log_det(ops.convert_to_tensor(x))
    np.testing.assert_allclose(ops.convert_to_numpy(flow.inverse(z)), x, atol=1e-5)
    flow.bijectors[0], flow.bijectors[-1] = flow.bijectors[-1], flow.bijectors[0]
    assert np.abs(ops.convert_to_numpy(flow.inverse(z)) - x).max() > 0.1


@pytest.mark.parametrize("name", FLOWS)
def test_the_log_determinant_is_that_of_the_jacobian(name):
    flow, x = random_flow(name), ops.convert_to_tensor(vectors(8))
    rows = [
        value_and_grad(lambda y, j=j: ops.sum(flow.forward_and_log_det(y)[0][:, j]), [x])[1][0]
        for j in range(D)
    ]
    jacobians = np.stack([ops.convert_to_numpy(row) for row in rows], axis=1)
    log_det = ops.convert_to_numpy(flow.forward_and_log_det(x)[1])
    exact = np.linalg.slogdet(jacobians)[1]
    np.testing.assert_allclose(log_det, exact, atol=1e-4)
    assert np.abs(log_det - exact[::-1]).max() > 0.01  # it is not the same at every point


@pytest.mark.spread
@pytest.mark.parametrize("name", FLOWS)
def test_a_trained_density_has_mass_one_and_fits_better_than_a_gaussian(name):
    keras.utils.set_random_seed(1)
    flow, x = FLOWS[name](3), moons(2048)
    flow.compile(keras.optimizers.Adam(5e-3))
    flow.fit(x[:1024], batch_size=64, epochs=8, verbose=0)
    edges = np.linspace(-5, 6, 184)
    grid = np.stack(np.meshgrid(edges, edges), -1).reshape(-1, 2).astype("float32")
    cell = (edges[1] - edges[0]) ** 2
    log_prob = -flow.predict(grid, batch_size=4096, verbose=0)
    assert abs(np.exp(log_prob).sum() * cell - 1) < 0.01
    z = flow.transform(grid)
    without = np.exp(-(z**2).sum(1) / 2) / (2 * np.pi)
    assert abs(without.sum() * cell - 1) > 0.1
    gaussian = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * np.cov(x.T))[1]
    assert flow.predict(x[1024:], verbose=0).mean() < gaussian


def test_actnorm_starts_on_the_first_batch_of_fit_only():
    x = np.concatenate([vectors(64) * 3 + 10, vectors(64) - 4])
    flow = RealNVP(1, 4)
    flow.compile(keras.optimizers.SGD(0.0))
    flow.predict(x[64:], verbose=0)
    assert float(ops.convert_to_numpy(flow.bijectors[0].started)) == 0
    flow.fit(x, batch_size=64, epochs=2, shuffle=False, verbose=0)
    z = flow.transform(x)
    np.testing.assert_allclose(z[:64].mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(z[:64].std(0), 1, atol=1e-4)
    assert np.abs(z[64:].mean(0)).min() > 3


def test_a_constant_dimension_stays_finite():
    x = vectors(64)
    x[:, 1] = 7
    layer = ActNorm()
    z, log_det = layer(x, training=True)
    assert np.isfinite(ops.convert_to_numpy(z)).all()
    np.testing.assert_allclose(ops.convert_to_numpy(z)[:, 1], 0, atol=1e-2)
    assert np.isfinite(ops.convert_to_numpy(log_det)).all()
    same, _ = ActNorm()(np.ones((3, 2), "float32"), training=True)
    np.testing.assert_allclose(ops.convert_to_numpy(same), 0, atol=1e-6)


@pytest.mark.spread
def test_a_constant_dimension_is_not_magnified_block_after_block():
    """With the deviation of rounding errors, small shifts grew in each block."""
    flow, x = RealNVP(4, 16), vectors(64)
    x[:, 1] = 1e-6 * x[:, 1] + 7
    flow.compile(keras.optimizers.SGD(0.0))
    flow.fit(x, batch_size=64, verbose=0)  # sets the actnorms
    rng = np.random.default_rng(1)
    for weight in flow.trainable_weights:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape).astype("float32"))
    assert np.abs(flow.transform(x)).max() < 50  # 15; with the deviation of rounding errors 214


def test_the_linear_map_starts_as_a_rotation():
    layer, x = InvertibleLinear(seed=4), vectors(6, 30)
    z, log_det = layer(x)
    np.testing.assert_allclose(ops.convert_to_numpy(log_det), 0, atol=1e-5)
    z = ops.convert_to_numpy(z)
    np.testing.assert_allclose(z @ z.T, x @ x.T, atol=1e-4)
    assert np.abs(z - x).max() > 0.5
    np.testing.assert_array_equal(z, ops.convert_to_numpy(InvertibleLinear(seed=4)(x)[0]))
    assert np.abs(z - ops.convert_to_numpy(InvertibleLinear(seed=5)(x)[0])).max() > 0.5


@pytest.mark.spread
@pytest.mark.parametrize("name", FLOWS)
def test_samples_are_drawn_from_the_density(name):
    flow = random_flow(name, 2)
    x = flow.sample(500, seed=5)
    np.testing.assert_array_equal(x, flow.sample(500, seed=5))
    assert np.abs(x - flow.sample(500, seed=6)).max() > 0.1
    z = flow.transform(x)
    np.testing.assert_allclose(z, np.random.default_rng(5).normal(size=z.shape), atol=1e-4)
    log_prob = ops.convert_to_numpy(flow.log_prob(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(log_prob, -flow.predict(x, verbose=0), atol=1e-4)


@pytest.mark.spread
@pytest.mark.parametrize("name", FLOWS)
def test_a_saved_flow_gives_the_same_numbers(name, tmp_path):
    flow, x = random_flow(name), vectors()
    flow.compile("adam")
    flow.fit(x, verbose=0)
    flow.save(tmp_path / "flow.keras")
    loaded = keras.models.load_model(tmp_path / "flow.keras")
    expected, found = flow.predict(x, verbose=0), loaded.predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(loaded.sample(3, 0), flow.sample(3, 0), rtol=1e-5)
    assert flow.get_config() == loaded.get_config()
    loaded.fit(x, verbose=0)  # the optimizer came with it


@pytest.mark.spread
@pytest.mark.parametrize("name", FLOWS)
def test_mixed_precision_does_not_change_a_flow(name):
    flow, x = random_flow(name), vectors()
    keras.config.set_dtype_policy("mixed_float16")
    half = FLOWS[name]()
    half.build((None, D))
    half.set_weights(flow.get_weights())
    energies = half.predict(x, verbose=0)
    np.testing.assert_allclose(energies, flow.predict(x, verbose=0), rtol=1e-6)


@pytest.mark.spread
@pytest.mark.parametrize("name", FLOWS)
def test_vectors_of_384_dimensions(name):
    flow = random_flow(name, 384, blocks=4)
    for weight in flow.trainable_weights:  # of a size that training gives
        weight.assign(0.1 * weight)
    x = vectors(16, 384) * 0.05
    assert np.isfinite(flow.predict(1e4 * x, verbose=0)).all()
    z = ops.convert_to_tensor(flow.transform(x))
    np.testing.assert_allclose(ops.convert_to_numpy(flow.inverse(z)), x, atol=1e-4)


@pytest.mark.spread
def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"blocks=0 must be at least 1"):
        RealNVP(0)
    with pytest.raises(ValueError, match=r"takes vectors \(B, D\), not \(None, 3, 4\)"):
        RealNVP(name="density").build((None, 3, 4))
    with pytest.raises(ValueError, match=r"at least 2 dimensions, not 1"):
        Glow().build((None, 1))
    for call in (lambda: RealNVP().sample(3), lambda: Glow().transform(vectors())):
        with pytest.raises(ValueError, match=r"has no weights yet: call fit\(x\)"):
            call()
    with pytest.raises(NotImplementedError, match=r"Flow must implement block\(\)"):
        Flow().build((None, 2))
    for method in (Bijector().call, Bijector().inverse):
        with pytest.raises(
            NotImplementedError, match=r"Bijector must implement (call|inverse)\(\)"
        ):
            method(np.zeros((1, 2)))

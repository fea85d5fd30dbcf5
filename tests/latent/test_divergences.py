"""Divergences: the bound of the best critic is the divergence, and any other critic's is below."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from bert4keras.latent import DIVERGENCES
from bert4keras.latent.divergences import get_divergence

P = np.array([0.5, 0.2, 0.2, 0.1])
Q = np.array([0.1, 0.3, 0.4, 0.2])
U = P / Q
M = (P + Q) / 2
JS = (np.sum(P * np.log(P / M)) + np.sum(Q * np.log(Q / M))) / 2
# The divergence by its textbook sum, and v with g(v) = f'(p / q).
EXACT = {
    "kl": (np.sum(P * np.log(U)), 1 + np.log(U)),
    "reverse_kl": (np.sum(Q * np.log(1 / U)), np.log(U)),
    "js": (JS, np.log(U)),
    "pearson": (np.sum((P - Q) ** 2 / Q), 2 * (U - 1)),
    "squared_hellinger": (np.sum((np.sqrt(P) - np.sqrt(Q)) ** 2), np.log(U) / 2),
    "gan": (2 * JS - np.log(4), np.log(U)),
}


def bound(name: str, v: np.ndarray) -> float:
    """The bound under P and Q: samples in exactly these proportions."""
    real, fake = (np.repeat(v, np.round(10 * share).astype(int)) for share in (P, Q))
    return float(get_divergence(name).bound(real.astype("float32"), fake.astype("float32")))


@pytest.mark.parametrize("name", EXACT)
def test_the_best_critic_gives_the_divergence(name):
    exact, best = EXACT[name]
    assert bound(name, best) == pytest.approx(exact, abs=1e-5)
    rng = np.random.default_rng(0)
    for scale in (0.1, 0.5, 2.0):
        other = best + scale * rng.normal(size=4)
        assert bound(name, other) < exact - 1e-4
    # Names are not exchangeable: the best critic of another divergence is not the best here.
    wrong = EXACT["pearson" if name != "pearson" else "kl"][1]
    assert bound(name, wrong) < exact - 1e-3


def test_the_conjugate_is_the_supremum():
    """fake(v) = f*(g(v)) by brute force over u, and real(v) = g(v) as in the table."""
    u = np.exp(np.linspace(-12, 12, 200_001))
    functions = {
        "kl": u * np.log(u),
        "reverse_kl": -np.log(u),
        "js": (u * np.log(u) - (u + 1) * np.log((u + 1) / 2)) / 2,
        "pearson": (u - 1) ** 2,
        "squared_hellinger": (np.sqrt(u) - 1) ** 2,
        "gan": u * np.log(u) - (u + 1) * np.log(u + 1),
    }
    assert {*functions, "wasserstein"} == set(DIVERGENCES)
    v = np.array([-1.5, -0.3, 0.4, 2.0], "float32")
    for name, f in functions.items():
        divergence = get_divergence(name)
        t = ops.convert_to_numpy(divergence.real(ops.convert_to_tensor(v))).astype("float64")
        found = ops.convert_to_numpy(divergence.fake(ops.convert_to_tensor(v)))
        np.testing.assert_allclose(found, [(u * one - f).max() for one in t], atol=2e-4)


@pytest.mark.spread
@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_wild_critic_gives_finite_numbers(name):
    v = np.array([-500.0, 500.0], "float32")
    divergence = get_divergence(name)
    assert np.isfinite(float(divergence.bound(v, v)))
    assert np.isfinite(float(divergence.generator_loss(v)))


@pytest.mark.spread
def test_an_unknown_name():
    with pytest.raises(ValueError, match="no divergence 'emd'; known: kl, reverse_kl, js"):
        get_divergence("emd")
    assert get_divergence(DIVERGENCES["kl"]) is DIVERGENCES["kl"]

"""Diagnostics of variational autoencoders, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bert4keras.latent import active_units, importance_weighted_bound, mutual_information

pytestmark = pytest.mark.spread  # numpy only


@pytest.mark.parametrize("slope", [0.0, 0.5, 2.0])
def test_mutual_information_of_a_gaussian_channel(slope):
    x = np.random.default_rng(1).normal(size=(1500, 1))
    mean = np.concatenate([slope * x, np.zeros((1500, 2))], axis=1)  # two dimensions say nothing
    exact = math.log(1 + slope**2) / 2
    assert abs(mutual_information(mean, np.zeros_like(mean)) - exact) < 0.05


def test_mutual_information_is_at_most_the_logarithm_of_the_samples():
    mean = 1000.0 * np.arange(300)[:, None]  # more than one block of rows; no two are near
    assert abs(mutual_information(mean, np.zeros_like(mean)) - math.log(300)) < 1e-6


def test_active_units_are_those_that_vary():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(500, 4)) * [1.0, 0.2, 0.05, 0.0] + 7
    assert active_units(mean) == 2
    assert active_units(mean, threshold=0.001) == 3


def test_the_bound_is_the_logarithm_of_the_mean_weight():
    logs = np.array([[0.0, -2000.0], [1.0, -2001.0]])
    expected = np.log((1 + np.e) / 2)
    np.testing.assert_allclose(importance_weighted_bound(logs), [expected, expected - 2001])

"""Correlations against scipy (recorded), by hand, and what has none."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from bert4keras.tasks.similarity import pearson, ranks, spearman

pytestmark = pytest.mark.spread

CASES = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "correlation.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{len(case['x'])} numbers")
def test_the_values_are_those_of_scipy(case):
    x, y = case["x"], case["y"]
    assert pearson(x, y) == pytest.approx(case["pearson"], abs=1e-12)
    assert spearman(x, y) == pytest.approx(case["spearman"], abs=1e-12)
    assert ranks(x).tolist() == case["ranks"]


def test_ties_and_the_kind_of_correlation_are_seen():
    """Ranks that part equal values at random, or Pearson for Spearman, would not pass."""
    broken = 0
    for case in CASES:
        parted = [np.argsort(np.argsort(case[name])) for name in "xy"]
        broken += abs(np.corrcoef(*parted)[0, 1] - case["spearman"]) > 1e-3
    assert broken >= 5
    assert sum(abs(case["pearson"] - case["spearman"]) > 1e-3 for case in CASES) >= 5


def test_by_hand():
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5 over the root of 4.5 * 5.
    assert spearman([0, 1, 1, 2], [5, 6, 7, 8]) == pytest.approx(0.9**0.5)
    x, y = np.random.default_rng(0).permutation(20), np.arange(20)
    assert spearman(x, y) == pytest.approx(1 - 6 * np.sum((x - y) ** 2) / (20 * (20**2 - 1)))
    assert spearman(x, np.exp(x)) == pytest.approx(1.0) != pearson(x, np.exp(x))
    assert pearson([1, 2, 4], [-1, -2, -4]) == pytest.approx(-1.0)


def test_the_shapes_of_predict_are_taken():
    x = np.array([[0.1], [0.7], [0.4]], "float32")
    assert spearman(x, [1, 3, 2]) == pytest.approx(1.0)


def test_numbers_near_the_ends_of_the_range():
    x = np.array([1.0, 2.0, 4.0, 3.0])
    for scale in (1e-200, 1e200):
        assert pearson(x * scale, [1, 2, 3, 4]) == pytest.approx(pearson(x, [1, 2, 3, 4]))


def test_equal_numbers_have_no_correlation():
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert math.isnan(pearson([1, 2, 3], [0.1, 0.1, 0.1]))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2, 3], [1, 2], "x has 3 numbers, y 2"),
        ([1], [1], "at least 2 numbers, got 1"),
        ([], [], "at least 2"),
        ([1, 2], [1, math.nan], r"y\[1\] is nan"),
        ([math.inf, 2], [1, 2], r"x\[0\] is inf"),
        (np.ones((2, 2)), [1, 2], r"x must be N numbers, not an array of shape \(2, 2\)"),
    ],
)
def test_what_cannot_be_correlated_is_named(x, y, message):
    with pytest.raises(ValueError, match=message):
        spearman(x, y)

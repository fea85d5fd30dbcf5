"""Scores of novelty detection against enumeration; calibration against counting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bert4keras.tasks import TaskError
from bert4keras.tasks.novelty import (
    Calibration,
    aupr,
    auroc,
    fpr_at_recall,
    novelty_scores,
    roc_curve,
)
from bert4keras.tasks.novelty.calibration import needed_texts, split_rows

pytestmark = pytest.mark.spread


def enumerated(known, foreign):
    """The three scores by their definitions, threshold by threshold and pair by pair."""
    pairs = list(itertools.product(known, foreign))
    area = sum((f > k) + 0.5 * (f == k) for k, f in pairs) / len(pairs)
    precision, recall_before, rates = 0.0, 0.0, []
    for t in sorted({*known, *foreign}, reverse=True):
        found, false = sum(f >= t for f in foreign), sum(k >= t for k in known)
        recall = found / len(foreign)
        precision += (recall - recall_before) * found / (found + false)
        recall_before = recall
        if recall >= 0.95:
            rates.append(false / len(known))
    return {"auroc": area, "aupr": precision, "fpr95": min(rates)}


@pytest.mark.parametrize("seed", range(20))
def test_against_enumeration_with_ties(seed):
    rng = np.random.default_rng(seed)
    known = rng.integers(0, 6, rng.integers(1, 30)).tolist()
    foreign = rng.integers(2, 9, rng.integers(1, 30)).tolist()
    found, exact = novelty_scores(known, foreign), enumerated(known, foreign)
    assert found == pytest.approx(exact)
    # With the two sides exchanged the area is another, unless it is one half.
    assert auroc(foreign, known) == pytest.approx(1 - exact["auroc"])


def test_known_values():
    assert novelty_scores([0, 1], [2, 3]) == {"auroc": 1.0, "aupr": 1.0, "fpr95": 0.0}
    assert auroc([5, 5], [5, 5, 5]) == 0.5
    assert aupr([5, 5], [5, 5, 5]) == pytest.approx(0.6)
    assert fpr_at_recall([1, 3], [0, 2, 4], recall=0.6) == 0.5
    assert fpr_at_recall([1, 3], [0, 2, 4]) == 1.0
    false, found = roc_curve([1, 3], [0, 2, 4])
    np.testing.assert_allclose(false, [0, 0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(found, [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])


def test_scores_that_are_none_are_named():
    with pytest.raises(TaskError, match="foreign: 0 scores, 0 of them not finite"):
        auroc([1.0], [])
    with pytest.raises(TaskError, match="known: 2 scores, 1 of them not finite"):
        aupr([1.0, np.nan], [1.0])


def test_p_values_by_counting():
    held_out = np.array([4.0, 3, 3, 1])
    scores = np.array([5.0, 4, 3.5, 3, 0])
    exact = [(1 + sum(h >= s for h in held_out)) / 5 for s in scores]
    calibration = Calibration(held_out)
    np.testing.assert_allclose(calibration.p_values(scores), exact)
    for rate in (0.2, 0.4, 0.5, 0.8):
        above = scores > calibration.threshold(rate)
        np.testing.assert_array_equal(above, calibration.p_values(scores) <= rate + 1e-12)


def test_the_rate_of_false_alarms_is_kept():
    """Over many draws of 39 held-out scores, at most one new known score in ten is an alarm."""
    rng = np.random.default_rng(0)
    alarms = [
        rng.normal() > Calibration(np.sort(rng.normal(size=39))[::-1]).threshold(0.1)
        for _ in range(4000)
    ]
    assert 0.08 < np.mean(alarms) < 0.12
    # The plain quantile of the scores that were fitted has no such guarantee: here it is a maximum.
    with pytest.raises(TaskError, match=r"8 known texts are held out .* of 0\.1 needs 9"):
        Calibration(np.zeros(8)).check(0.1)
    assert [needed_texts(rate) for rate in (0.5, 0.1, 0.05, 0.3)] == [1, 9, 19, 3]


def test_rows_that_are_held_out():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 2] * 5)
    learnt, others = split_rows(50, labels, 0.05, seed=1)
    assert len(others) == 19
    assert sorted([*learnt, *others]) == list(range(50))
    assert set(labels[learnt]) == {0, 1, 2}
    assert len(split_rows(1000, None, 0.05, seed=1)[1]) == 200
    assert not np.array_equal(others, split_rows(50, labels, 0.05, seed=2)[1])
    with pytest.raises(TaskError, match=r"got 37 texts\. A false_alarm_rate of .* from\. Give"):
        split_rows(37, None, 0.05, seed=0)
    with pytest.raises(TaskError, match=r"got 37 texts of 1 label\. .*, one of each label among"):
        split_rows(37, np.zeros(37, "int64"), 0.05, seed=0)
    with pytest.raises(TaskError, match="got 40 texts of 40 labels"):
        split_rows(40, np.arange(40), 0.05, seed=0)

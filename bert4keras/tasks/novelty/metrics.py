"""Scores of novelty detection: ROC curve, areas, and false alarms at a recall.

A score is higher for a text that is more foreign. Foreign texts are the positive class: recall is
the share of foreign texts that are found, a false alarm is a known text that is taken for foreign.
Symbols: N known texts, M foreign ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..base import TaskError

_Scores = Sequence[float] | np.ndarray


def _counts(known: _Scores, foreign: _Scores) -> tuple[np.ndarray, np.ndarray]:
    """Return how many known and foreign scores are at least t, for each distinct t downwards."""
    known, foreign = np.asarray(known, "float64"), np.asarray(foreign, "float64")
    for name, scores in (("known", known), ("foreign", foreign)):
        if not scores.size or not np.isfinite(scores).all():
            raise TaskError(
                f"{name}: {scores.size} scores, {int((~np.isfinite(scores)).sum())} of them not "
                "finite; at least one score is needed, and numbers only."
            )
    levels = np.unique(np.concatenate([known, foreign]))[::-1]
    return tuple(
        len(scores) - np.searchsorted(np.sort(scores), levels, side="left")
        for scores in (known, foreign)
    )  # type: ignore[return-value]


def roc_curve(known: _Scores, foreign: _Scores) -> tuple[np.ndarray, np.ndarray]:
    """Return false-alarm rates and recalls at every threshold, both from 0 to 1.

    Args:
        known, foreign: scores, N and M > 0.

    Returns:
        Two arrays (T + 1,), T the number of distinct scores.
    """
    false, found = _counts(known, foreign)
    return tuple(np.concatenate([[0.0], part / part[-1]]) for part in (false, found))  # type: ignore[return-value]


def auroc(known: _Scores, foreign: _Scores) -> float:
    """Return the chance that a foreign text has a higher score than a known one; ties count half.

    Args:
        known, foreign: scores, N and M > 0.
    """
    false, found = roc_curve(known, foreign)
    return float(np.sum(np.diff(false) * (found[1:] + found[:-1]) / 2))


def aupr(known: _Scores, foreign: _Scores) -> float:
    """Return the average precision: over thresholds, precision weighted by the gain in recall.

    Args:
        known, foreign: scores, N and M > 0.
    """
    false, found = _counts(known, foreign)
    gains = np.diff(np.concatenate([[0], found])) / found[-1]
    return float(np.sum(gains * found / (found + false)))


def fpr_at_recall(known: _Scores, foreign: _Scores, recall: float = 0.95) -> float:
    """Return the smallest false-alarm rate of the thresholds that find enough foreign texts.

    Args:
        known, foreign: scores, N and M > 0.
        recall: least share of the foreign texts that must be found.
    """
    false, found = _counts(known, foreign)
    return float(false[found >= recall * found[-1] - 1e-9][0] / false[-1])


def novelty_scores(known: _Scores, foreign: _Scores) -> dict[str, float]:
    """Return "auroc", "aupr" and "fpr95" (false-alarm rate at 95 % recall).

    Args:
        known, foreign: scores, N and M > 0.
    """
    return {
        "auroc": auroc(known, foreign),
        "aupr": aupr(known, foreign),
        "fpr95": fpr_at_recall(known, foreign),
    }

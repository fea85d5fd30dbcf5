"""Thresholds of novelty scores for a wished rate of false alarms.

The p-value of a score s is (1 + number of scores >= s of n known texts that were held out) /
(n + 1). If known texts are drawn alike, at most a share a of them has a p-value of at most a,
whatever the score is (split conformal prediction: Vovk et al. 2005, "Algorithmic Learning in a
Random World"; for novelty: Bates et al. 2023, arXiv 2104.08279).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..base import TaskError

_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Scores of known texts that were held out; they say how unusual another score is.

    Args:
        held_out: (n,), highest first.
    """

    held_out: np.ndarray

    def check(self, rate: float) -> None:
        """Raise unless a p-value can be as low as `rate`.

        Raises:
            TaskError: too few scores.
        """
        if len(self.held_out) < needed_texts(rate):
            raise TaskError(
                f"{len(self.held_out)} known texts are held out for the threshold, but a "
                f"false_alarm_rate of {rate:g} needs {needed_texts(rate)}. Call fit() with more "
                "texts, or set a higher rate."
            )

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """Return the p-value of each score, (N,)."""
        above = len(self.held_out) - np.searchsorted(self.held_out[::-1], scores, side="left")
        return (1 + above) / (len(self.held_out) + 1)

    def threshold(self, rate: float) -> float:
        """Return the score above which a p-value is at most `rate`."""
        return float(self.held_out[math.floor(rate * (len(self.held_out) + 1) + _ROUNDING) - 1])


def needed_texts(rate: float) -> int:
    """Return how many texts must be held out so that a p-value can be as low as `rate`."""
    return math.ceil(1 / rate - _ROUNDING) - 1


def split_rows(
    count: int, labels: np.ndarray | None, rate: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose which of some known texts are held out for the threshold: a fifth, or more if needed.

    Args:
        count: number of texts.
        labels: int (count,); of each label one text at least is learnt. None: no labels.
        rate: of false alarms.
        seed: of the choice.

    Returns:
        Indices of the texts to learn from, and of those that are held out.

    Raises:
        TaskError: too few texts.
    """
    wanted = max(count // 5, needed_texts(rate))
    order = np.random.default_rng(seed).permutation(count)
    # The first text of each label in this order is learnt.
    first = order[:1] if labels is None else order[np.unique(labels[order], return_index=True)[1]]
    free = order[~np.isin(order, first)]
    if count < 2 * wanted or len(free) < wanted:
        kinds = "" if labels is None else f" of {len(first)} label" + "s" * (len(first) > 1)
        each = "" if labels is None else ", one of each label among these"
        raise TaskError(
            f"fit() got {count} texts{kinds}. A false_alarm_rate of {rate:g} needs "
            f"{needed_texts(rate)} texts that are held out for the threshold, and as many to learn "
            f"from{each}. Give more texts, or a higher rate."
        )
    return np.setdiff1d(order, free[:wanted]), free[:wanted]

"""Precision, recall and F1 at every threshold of a score, and the best threshold.

Every distinct score is a candidate: at the threshold t count the answers with a score of at least
t. One sort gives all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np


class NoThreshold(ValueError):
    """No threshold reaches the given precision or recall; the message has the highest ones."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """Scores at K thresholds, the highest threshold first.

    Attributes:
        thresholds: (K,), all distinct scores.
        precisions, recalls, f1: (K,), of the answers that score at least the threshold.
    """

    thresholds: np.ndarray
    precisions: np.ndarray
    recalls: np.ndarray
    f1: np.ndarray

    def best(self, precision: float | None = None, recall: float | None = None) -> int:
        """Return the index of the best threshold.

        Without arguments it has the highest F1. With one or both of them, of those that reach
        these, it has the highest F1. Of equals the highest threshold counts.

        Args:
            precision, recall: least values, between 0 and 1.

        Raises:
            NoThreshold: there is none.
        """
        possible = np.ones(len(self.thresholds), bool)
        for wanted, found in ((precision, self.precisions), (recall, self.recalls)):
            possible &= True if wanted is None else found >= wanted
        if not possible.any():
            asked = {"precision": precision, "recall": recall}
            named = " and ".join(f"{k} {v:g}" for k, v in asked.items() if v is not None)
            raise NoThreshold(
                f"no threshold reaches {named or 'anything: there are no answers'}; the highest "
                f"precision is {self.precisions.max(initial=0):.4f}, the highest recall "
                f"{self.recalls.max(initial=0):.4f}."
            )
        return int(np.where(possible, self.f1, -1.0).argmax())


def threshold_curve(scores: Sequence[float], right: Sequence[float], wanted: int) -> Curve:
    """Compute precision, recall and F1 at every distinct score.

    Args:
        scores: N scores of possible answers.
        right: for each 1 if it is right, 0 if not, or a share between.
        wanted: number of all right answers, also of those that have no score.

    Raises:
        ValueError: not as many, or a score is not finite.
    """
    values, correct = np.asarray(scores, "float64"), np.asarray(right, "float64")
    if values.shape != correct.shape or values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(
            f"{values.shape} scores and {correct.shape} values of right must be finite and as many."
        )
    order = np.argsort(-values, kind="stable")
    values, correct = values[order], np.cumsum(correct[order])
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)])
    found, hits = last + 1, correct[last]
    return Curve(
        values[last],
        hits / found,
        hits / max(wanted, 1),
        2 * hits / (found + wanted),
    )

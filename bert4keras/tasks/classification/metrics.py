"""Scores of predicted labels and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from ..report import MISSED, SPURIOUS, ClassScore
from ..similarity.correlation import spearman


def classification_scores(predicted: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Return accuracy, and the unweighted mean of the F1 of every label that occurs.

    Args:
        predicted, labels: N labels each, N > 0.
    """
    pairs = list(zip(predicted, labels, strict=True))
    names = sorted({name for pair in pairs for name in pair}, key=str)
    f1 = [
        _f1_of_sets(
            [[p] if p == n else [] for p, _ in pairs], [[t] if t == n else [] for _, t in pairs]
        )
        for n in names
    ]
    return {
        "accuracy": float(np.mean([p == t for p, t in pairs])),
        "macro_f1": float(np.mean(f1)),
    }


def multi_label_scores(
    predicted: Sequence[Collection[str]], labels: Sequence[Collection[str]]
) -> dict[str, float]:
    """Return F1 over all (text, label) pairs, and the share of texts with exactly their labels.

    Args:
        predicted, labels: N sets of labels each, N > 0.
    """
    exact = [set(p) == set(t) for p, t in zip(predicted, labels, strict=True)]
    return {"micro_f1": _f1_of_sets(predicted, labels), "exact_match": float(np.mean(exact))}


def regression_scores(predicted: Sequence[float], labels: Sequence[float]) -> dict[str, float]:
    """Return Spearman's rank correlation (0 if one side is constant) and the mean squared error.

    Args:
        predicted, labels: N numbers each, N > 0.
    """
    given, wanted = np.asarray(predicted, float), np.asarray(labels, float)
    constant = np.ptp(given) == 0 or np.ptp(wanted) == 0
    return {
        "spearman": 0.0 if constant else float(spearman(wanted, given)),
        "mean_squared_error": float(np.mean((given - wanted) ** 2)),
    }


def label_scores(
    predicted: Sequence[Collection[str]], labels: Sequence[Collection[str]]
) -> dict[str, ClassScore]:
    """Return precision, recall and F1 of each label that occurs.

    Args:
        predicted, labels: N sets of labels each; with a single label, sets of one.
    """
    found, wanted, right = Counter(), Counter(), Counter()
    for ours, theirs in zip(map(set, predicted), map(set, labels), strict=True):
        for counter, names in ((found, ours), (wanted, theirs), (right, ours & theirs)):
            counter.update(names)
    names = sorted({*found, *wanted})
    return {name: ClassScore.of(right[name], found[name], wanted[name]) for name in names}


def label_confusion(
    predicted: Sequence[Collection[str]], labels: Sequence[Collection[str]]
) -> dict[tuple[str, str], int]:
    """Count texts by (wanted label, found label).

    Of sets with several labels, those that are in one set only are (label, `MISSED`) or
    (`SPURIOUS`, label); if there is one on each side, they are a pair.

    Args:
        predicted, labels: as of `label_scores`.
    """
    counts: Counter = Counter()
    for ours, theirs in zip(map(set, predicted), map(set, labels), strict=True):
        counts.update((name, name) for name in ours & theirs)
        more, less = sorted(ours - theirs), sorted(theirs - ours)
        if len(more) == len(less) == 1:
            counts[less[0], more[0]] += 1
            continue
        counts.update((name, MISSED) for name in less)
        counts.update((SPURIOUS, name) for name in more)
    return dict(counts)


def _f1_of_sets(predicted: Sequence[Collection], labels: Sequence[Collection]) -> float:
    """Return F1 of items, counted over all pairs of sets; 1 if both sides are empty."""
    found = sum(len(set(p)) for p in predicted)
    wanted = sum(len(set(t)) for t in labels)
    right = sum(len(set(p) & set(t)) for p, t in zip(predicted, labels, strict=True))
    return 2 * right / (found + wanted) if found + wanted else 1.0

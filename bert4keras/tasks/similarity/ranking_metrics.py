"""Metrics of rankings and of scores of pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .correlation import pearson, spearman


def ranking_scores(
    rankings: Sequence[Sequence[float]], k: int = 10, missing: Sequence[int] | None = None
) -> dict[str, float]:
    """Return scores of rankings, averaged over the queries that have a relevant text.

    Args:
        rankings: for each query the relevances of its texts in ranking order, best first;
            a text is relevant if its number is above 0.
        k: number of first texts that count for MRR and NDCG.
        missing: for each query the number of relevant texts outside the ranking; they lower MAP and
            NDCG (they count with relevance 1); None: it has all.

    Returns:
        "map", mean average precision; "mrr@k", the mean of 1 / position of the first relevant text;
        "ndcg@k", discounted cumulative gain with the relevance as gain, divided by that of the best
        ranking; "accuracy@1", how often the first text is relevant. All 0 if no query has a
        relevant text.

    Source: Jaervelin and Kekaelaeinen, 2002 (doi:10.1145/582415.582418), for NDCG.
    """
    found = []
    for query, ranking in enumerate(rankings):
        gains = np.maximum(np.asarray(ranking, "float64"), 0)
        absent = missing[query] if missing else 0
        hits = np.flatnonzero(gains > 0)
        if not len(hits) + absent:
            continue
        precisions = np.arange(1, len(hits) + 1) / (hits + 1)
        best = np.sort(np.concatenate([gains, np.ones(absent)]))[::-1]
        found.append(
            (
                precisions.sum() / (len(hits) + absent),
                1 / (hits[0] + 1) if len(hits) and hits[0] < k else 0.0,
                _dcg(gains[:k]) / _dcg(best[:k]),
                float(bool(len(hits)) and hits[0] == 0),
            )
        )
    means = np.mean(found, axis=0).tolist() if found else [0.0] * 4
    return dict(zip(("map", f"mrr@{k}", f"ndcg@{k}", "accuracy@1"), means, strict=True))


def _dcg(gains: np.ndarray) -> float:
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())


def pair_scores(
    scores: Sequence[float], labels: Sequence[float], threshold: float = 0.5
) -> dict[str, float]:
    """Return the agreement of scores of pairs with their labels.

    Args:
        scores, labels: N numbers each.
        threshold: a score above it predicts 1.

    Returns:
        Where all labels are 0 or 1, "accuracy", "f1" of label 1, and "spearman"; otherwise
        "spearman" and "pearson". A correlation with equal numbers only is 0.
    """
    found, gold = np.asarray(scores, "float64"), np.asarray(labels, "float64")
    several = len(gold) > 1
    correlations = {
        name: measure(found, gold) if several else 0.0
        for name, measure in (("spearman", spearman), ("pearson", pearson))
    }
    correlations = {name: 0.0 if math.isnan(x) else x for name, x in correlations.items()}
    if not np.isin(gold, (0, 1)).all():
        return correlations
    said, right = found > threshold, gold == 1
    both = int((said & right).sum())
    return {
        "accuracy": float((said == right).mean()),
        "f1": 2 * both / max(1, int(said.sum() + right.sum())),
        "spearman": correlations["spearman"],
    }

"""Unlabelled scores of trees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...tokenizers.spans import Span


def unlabelled_scores(
    predictions: Sequence[Iterable[Span]], references: Sequence[Iterable[Span]]
) -> dict[str, float]:
    """Compare constituents without labels, over all sentences together.

    The whole sentence is a constituent of every tree, so the caller leaves it out of both.

    Args:
        predictions: spans of each sentence.
        references: gold spans of each sentence.

    Returns:
        `f1`, `precision` and `recall`; 0 where there is nothing to divide by.

    Raises:
        ValueError: there are not as many predictions as references.
    """
    pairs = [(set(p), set(r)) for p, r in zip(predictions, references, strict=True)]
    right = sum(len(p & r) for p, r in pairs)
    predicted, gold = sum(len(p) for p, _ in pairs), sum(len(r) for _, r in pairs)
    return {
        "f1": 2 * right / max(predicted + gold, 1),
        "precision": right / max(predicted, 1),
        "recall": right / max(gold, 1),
    }

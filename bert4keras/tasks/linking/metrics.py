"""Precision, recall and F1 of links, over all texts together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..relations.metrics import triple_scores
from ..report import ClassScore


def linking_scores(
    predictions: Sequence[Iterable[tuple]], references: Sequence[Iterable[tuple]]
) -> ClassScore:
    """Compute micro-averaged scores of links; place and entity must be right.

    Args:
        predictions, references: for each of N texts its links (start, end, entity id), without
            mentions that have no entity (NIL).

    Raises:
        ValueError: different numbers of predictions and references.

    Source: the metric of CCKS 2019 task 2; "InKB micro F1" of Röder et al., GERBIL, 2018.
    """
    return triple_scores(predictions, references)

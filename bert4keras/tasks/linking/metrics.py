"""Entities linked: precision, recall and F1 over all texts together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..relations.metrics import triple_scores
from ..tagging.metrics import EntityScore


def linking_scores(
    predictions: Sequence[Iterable[tuple]], references: Sequence[Iterable[tuple]]
) -> EntityScore:
    """Micro-averaged scores of links; one is right if place and entity are.

    Args:
        predictions, references: for each of N texts its links (start, end, entity id); mentions of
            nothing known are left out of both.

    Raises:
        ValueError: not as many predictions as references.

    Source: the measure of CCKS 2019 task 2; "InKB micro F1" of Röder et al., GERBIL, 2018.
    """
    return triple_scores(predictions, references)

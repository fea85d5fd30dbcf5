"""Precision, recall and F1 of triples, over all texts together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..report import ClassScore


def triple_scores(
    predictions: Sequence[Iterable[tuple]], references: Sequence[Iterable[tuple]]
) -> ClassScore:
    """Compute micro-averaged scores of triples; all three parts must be right.

    Args:
        predictions, references: for each of N texts its triples (subject, relation, object);
            duplicates count once.

    Raises:
        ValueError: different numbers of predictions and references.

    Source: Wei et al., A Novel Cascade Binary Tagging Framework for Relational Triple Extraction,
    2020 (arXiv:1909.03227), "exact match".
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references.")
    pairs = [
        ({tuple(t) for t in ours}, {tuple(t) for t in theirs})
        for ours, theirs in zip(predictions, references, strict=True)
    ]
    correct = sum(len(ours & theirs) for ours, theirs in pairs)
    return ClassScore.of(correct, sum(len(o) for o, _ in pairs), sum(len(t) for _, t in pairs))


def predicate_scores(
    predictions: Sequence[Iterable[tuple]], references: Sequence[Iterable[tuple]]
) -> dict[str, ClassScore]:
    """Compute `triple_scores` of each predicate; arguments as there."""
    names = {triple[1] for triples in (*predictions, *references) for triple in triples}

    def only(name: str, rows: Sequence[Iterable[tuple]]) -> list[list[tuple]]:
        return [[triple for triple in row if triple[1] == name] for row in rows]

    return {n: triple_scores(only(n, predictions), only(n, references)) for n in sorted(names)}

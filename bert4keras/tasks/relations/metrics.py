"""Precision, recall and F1 of triples, over all texts together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..report import MISSED, OTHER_ENTITY, SPURIOUS, ClassScore


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


def triple_confusion(
    predictions: Sequence[Iterable[tuple]], references: Sequence[Iterable[tuple]]
) -> dict[tuple[str, str], int]:
    """Count triples by what became of them; arguments as of `triple_scores`.

    Returns:
        Number of cases by (wanted predicate, found predicate): the same for a right triple, another
        for one whose entities only are right. A triple with the same predicate and one of the two
        entities is (predicate, `OTHER_ENTITY`). The others are (predicate, `MISSED`) and
        (`SPURIOUS`, predicate).
    """
    counts: Counter = Counter()
    for found, wanted in zip(predictions, references, strict=True):
        ours, theirs = {tuple(t) for t in found}, {tuple(t) for t in wanted}
        counts.update((predicate, predicate) for _, predicate, _ in ours & theirs)
        ours, theirs = ours - theirs, theirs - ours
        for kind, match in (("predicate", _same_entities), ("entity", _same_predicate)):
            for triple in sorted(theirs):
                partner = next((one for one in sorted(ours) if match(triple, one)), None)
                if partner is not None:
                    ours, theirs = ours - {partner}, theirs - {triple}
                    counts[triple[1], partner[1] if kind == "predicate" else OTHER_ENTITY] += 1
        counts.update((predicate, MISSED) for _, predicate, _ in theirs)
        counts.update((SPURIOUS, predicate) for _, predicate, _ in ours)
    return dict(counts)


def _same_entities(one: tuple, other: tuple) -> bool:
    return one[0] == other[0] and one[2] == other[2]


def _same_predicate(one: tuple, other: tuple) -> bool:
    """Return whether two triples have their predicate and an entity in common."""
    return one[1] == other[1] and (one[0] == other[0] or one[2] == other[2])

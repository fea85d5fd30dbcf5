"""Entities found: precision, recall and F1 over whole entities, as CoNLL's script counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .schemes import decode_tags


class EntityScore(NamedTuple):
    """Shares between 0 and 1, and the counts they are made of.

    Attributes:
        precision: correct / found; 0 if nothing was found.
        recall: correct / wanted; 0 if nothing is wanted.
        f1: their harmonic mean.
        correct, found, wanted: numbers of entities.
    """

    precision: float
    recall: float
    f1: float
    correct: int
    found: int
    wanted: int


class EntityScores(NamedTuple):
    """Scores of all entities together, of each type, and the mean of the types' F1."""

    micro: EntityScore
    types: dict[str, EntityScore]
    macro_f1: float


def entity_scores(
    predictions: Sequence[Iterable[tuple]], references: Sequence[Iterable[tuple]]
) -> EntityScores:
    """Scores of entities; one is correct if both borders and the type are right (strict).

    Args:
        predictions, references: for each of N texts its entities, as tuples whose last item is
            the type: (start, end, label). Nested ones count like others; one that is given twice
            counts once.

    Raises:
        ValueError: not as many predictions as references.

    Source: Tjong Kim Sang and De Meulder, CoNLL-2003 (cs/0306050).
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references.")
    correct, found, wanted = Counter(), Counter(), Counter()
    for ours, theirs in zip(predictions, references, strict=True):
        ours, theirs = {tuple(e) for e in ours}, {tuple(e) for e in theirs}
        for counter, some in ((correct, ours & theirs), (found, ours), (wanted, theirs)):
            counter.update(entity[-1] for entity in some)
    types = {t: score(correct[t], found[t], wanted[t]) for t in sorted({*found, *wanted})}
    micro = score(correct.total(), found.total(), wanted.total())
    macro = sum(s.f1 for s in types.values()) / len(types) if types else 0.0
    return EntityScores(micro, types, macro)


def tag_scores(
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    scheme: str | None = None,
    strict: bool = False,
) -> EntityScores:
    """`entity_scores` of tag sequences.

    Args:
        predictions, references: for each of N texts a tag per item, in any scheme.
        scheme, strict: as in `decode_tags`: whether what the scheme would not write counts.

    Raises:
        ValueError: not as many predictions as references, of texts or of the tags of one.

    The numbers are those of the `seqeval` package, with `mode="strict"` if strict (of BIO, BIOES).
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references.")
    for number, (ours, theirs) in enumerate(zip(predictions, references, strict=True)):
        if len(ours) != len(theirs):
            raise ValueError(f"Text {number} has {len(theirs)} items, but {len(ours)} predictions.")
    return entity_scores(
        [decode_tags(tags, scheme, strict) for tags in predictions],
        [decode_tags(tags, scheme, strict) for tags in references],
    )


def score(correct: int, found: int, wanted: int) -> EntityScore:
    """Precision, recall and F1 of counts."""
    precision = correct / found if found else 0.0
    recall = correct / wanted if wanted else 0.0
    f1 = 2 * correct / (found + wanted) if correct else 0.0
    return EntityScore(precision, recall, f1, correct, found, wanted)

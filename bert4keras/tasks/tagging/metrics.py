"""Precision, recall and F1 of whole entities, as CoNLL's evaluation script counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .schemes import decode_tags


class EntityScore(NamedTuple):
    """Precision, recall and F1, between 0 and 1, and the counts behind them.

    Attributes:
        precision: correct / found; 0 if nothing was found.
        recall: correct / wanted; 0 if there are no reference entities.
        f1: their harmonic mean.
        correct, found, wanted: numbers of entities: right, predicted, in the references.
    """

    precision: float
    recall: float
    f1: float
    correct: int
    found: int
    wanted: int


class EntityScores(NamedTuple):
    """Scores of all entities together (micro) and of each type; mean F1 of the types (macro)."""

    micro: EntityScore
    types: dict[str, EntityScore]
    macro_f1: float


def entity_scores(
    predictions: Sequence[Iterable[tuple]], references: Sequence[Iterable[tuple]]
) -> EntityScores:
    """Compute scores of entities. An entity is correct if both borders and the type are right.

    Args:
        predictions, references: for each of N texts its entities, as tuples whose last item is
            the type: (start, end, label). Nested entities count like others; duplicates count
            once.

    Raises:
        ValueError: different numbers of predictions and references.

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
    """Compute `entity_scores` of tag sequences.

    Args:
        predictions, references: for each of N texts one tag per item, in any scheme.
        scheme, strict: of `decode_tags`; `strict` ignores entities that the scheme would write
            with other tags.

    Raises:
        ValueError: different numbers of texts, or of tags of a text.

    The results equal those of the `seqeval` package, with `mode="strict"` if strict (BIO, BIOES).
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
    """Compute precision, recall and F1 from counts."""
    precision = correct / found if found else 0.0
    recall = correct / wanted if wanted else 0.0
    f1 = 2 * correct / (found + wanted) if correct else 0.0
    return EntityScore(precision, recall, f1, correct, found, wanted)

"""Precision, recall and F1 of whole entities, as CoNLL's evaluation script counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..report import BOUNDARY, MISSED, SPURIOUS, ClassScore, Report, ranked
from .entity import Entity
from .schemes import decode_tags


class EntityScores(NamedTuple):
    """Scores of all entities together (micro) and of each type; mean F1 of the types (macro)."""

    micro: ClassScore
    types: dict[str, ClassScore]
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
    types = {t: ClassScore.of(correct[t], found[t], wanted[t]) for t in sorted({*found, *wanted})}
    micro = ClassScore.of(correct.total(), found.total(), wanted.total())
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


def entity_confusion(
    predictions: Sequence[Iterable[tuple]], references: Sequence[Iterable[tuple]]
) -> dict[tuple[str, str], int]:
    """Count entities by what became of them.

    Args:
        predictions, references: as of `entity_scores`.

    Returns:
        Number of cases by (wanted type, found type): the same for a right entity, another for one
        whose borders only are right. An entity with overlapping characters and the same type is
        (type, `BOUNDARY`). The others are (type, `MISSED`) and (`SPURIOUS`, type).
    """
    counts: Counter = Counter()
    for found, wanted in zip(predictions, references, strict=True):
        ours, theirs = {tuple(e) for e in found}, {tuple(e) for e in wanted}
        counts.update((label, label) for *_, label in ours & theirs)
        ours, theirs = ours - theirs, theirs - ours
        for kind, match in (("label", _same_borders), ("boundary", _overlap)):
            for entity in sorted(theirs):
                partner = next((one for one in sorted(ours) if match(entity, one)), None)
                if partner is not None:
                    ours, theirs = ours - {partner}, theirs - {entity}
                    other = partner[-1] if kind == "label" else BOUNDARY
                    counts[entity[-1], other] += 1
        counts.update((label, MISSED) for *_, label in theirs)
        counts.update((SPURIOUS, label) for *_, label in ours)
    return dict(counts)


def entity_report(
    scores: Mapping[str, float], answers: Sequence[Sequence[Entity]], labels: Sequence[Any]
) -> Report:
    """Return scores by type, confusions and wrong answers.

    Args:
        scores: of all together.
        answers: entities found in each text.
        labels: for each text its entities, as of `entity_scores`.
    """
    found = [[entity.span for entity in answer] for answer in answers]
    wanted = [[tuple(entity) for entity in label] for label in labels]
    wrong = {}
    for i, (answer, theirs) in enumerate(zip(answers, map(set, wanted), strict=True)):
        spurious = [entity.score for entity in answer if entity.span not in theirs]
        if spurious or len(answer) != len(theirs):
            wrong[i] = max(spurious, default=0.0)
    types = entity_scores(found, wanted).types
    return Report(scores, types, entity_confusion(found, wanted), ranked(wrong))


def _same_borders(one: tuple, other: tuple) -> bool:
    return one[:2] == other[:2]


def _overlap(one: tuple, other: tuple) -> bool:
    return one[-1] == other[-1] and one[0] < other[1] and other[0] < one[1]

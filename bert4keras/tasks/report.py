"""Scores of a task in detail: by class, confusions, and the wrong answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MISSED, SPURIOUS, BOUNDARY = "(missed)", "(spurious)", "(wrong boundary)"
OTHER_ENTITY = "(other entity)"


class ClassScore(NamedTuple):
    """Precision, recall and F1, between 0 and 1, and the counts behind them.

    Attributes:
        precision: correct / found; 0 if nothing was found.
        recall: correct / wanted; 0 if there are no references.
        f1: their harmonic mean.
        correct, found, wanted: numbers of items: right, predicted, in the references.
    """

    precision: float
    recall: float
    f1: float
    correct: int
    found: int
    wanted: int

    @classmethod
    def of(cls, correct: int, found: int, wanted: int) -> ClassScore:
        """Compute precision, recall and F1 from counts."""
        precision = correct / found if found else 0.0
        recall = correct / wanted if wanted else 0.0
        f1 = 2 * correct / (found + wanted) if correct else 0.0
        return cls(precision, recall, f1, correct, found, wanted)


class WrongAnswer(NamedTuple):
    """A sample that was answered wrongly.

    Attributes:
        place: index of the sample.
        confidence: probability of the most probable wrong part of the answer; 0 if something is
            only missing.
    """

    place: int
    confidence: float


@dataclasses.dataclass(frozen=True)
class Report:
    """Scores of answers.

    Attributes:
        scores: of all together, by name; the first is the main score.
        classes: of each class.
        confusion: number of cases by (wanted class, found class). Besides the classes there are
            `MISSED`, `SPURIOUS` and `BOUNDARY` where answers are parts of a text, and
            `OTHER_ENTITY` where they are triples.
        wrong: the wrong answers, the most confident first.
    """

    scores: Mapping[str, float]
    classes: Mapping[str, ClassScore] = dataclasses.field(default_factory=dict)
    confusion: Mapping[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    wrong: Sequence[WrongAnswer] = ()


def ranked(confidences: Mapping[int, float]) -> list[WrongAnswer]:
    """Sort wrong answers by their confidence, the highest first; equal ones by their index.

    Args:
        confidences: confidence by the index of the sample.
    """
    order = sorted(confidences.items(), key=lambda item: (-item[1], item[0]))
    return [WrongAnswer(index, float(confidence)) for index, confidence in order]

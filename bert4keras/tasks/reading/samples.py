"""A question and its passages, and an answer in one of them."""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Question:
    """A question and the passages in which its answer is looked for.

    Attributes:
        text: the question.
        passages: at least one.
        id: name of the question in its data set.
    """

    text: str
    passages: tuple[str, ...]
    id: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer to a question: characters [start, end) of one of its passages.

    Attributes:
        text: these characters; empty if the passages do not answer the question.
        start, end: where the answer is; (0, 0) if there is none. In the labels of a data set -1
            says that the answer is given, but occurs in no passage.
        score: probability of the answer, or of there being none; 1 in a label.
        passage: index of the passage.
    """

    text: str
    start: int
    end: int
    score: float = 1.0
    passage: int = 0

    def __str__(self) -> str:
        return f"{self.text or '(no answer)'} {self.score:.3f}"


def places(text: str, passage: str) -> list[int]:
    """Find where a text begins in a passage; places may overlap."""
    return [match.start() for match in re.finditer(f"(?={re.escape(text)})", passage) if text]

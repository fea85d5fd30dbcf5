"""Samples of question answering: a question with passages, and an answer in one of them."""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Question:
    """Question and the passages to search for its answer.

    Attributes:
        text: the question.
        passages: at least one.
        id: identifier of the question in its data set.
    """

    text: str
    passages: tuple[str, ...]
    id: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """Answer to a question: characters [start, end) of one of its passages.

    Attributes:
        text: these characters; empty if the passages do not answer the question.
        start, end: place in the passage; (0, 0) if there is no answer; -1 in the labels of a data
            set if the given answer occurs in no passage.
        score: probability of the answer, or of "no answer"; 1 in a label.
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
    """Return every index at which a text begins in a passage; occurrences may overlap."""
    return [match.start() for match in re.finditer(f"(?={re.escape(text)})", passage) if text]

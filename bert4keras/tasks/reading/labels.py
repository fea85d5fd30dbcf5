"""Conversion of users' samples and labels to `Question` and `Answer`, with checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..base import TaskError
from .samples import Answer, Question, places


def as_question(sample: Any) -> Question:
    """Convert `(question, passage)` or `(question, [passage, ...])` to a `Question`.

    Raises:
        TaskError: the sample has another form.
    """
    if isinstance(sample, Question):
        return sample
    if isinstance(sample, (tuple, list)) and len(sample) == 2:
        text, passages = sample
        passages = (passages,) if isinstance(passages, str) else passages
        known = isinstance(passages, (tuple, list)) and len(passages) > 0
        if known and all(isinstance(part, str) for part in (text, *passages)):
            return Question(text, tuple(passages))
    raise TaskError(
        f"a sample is (question, passage), (question, [passage, ...]) or a Question, not "
        f"{sample!r:.80}."
    )


def as_answers(label: Any, question: Question) -> list[Answer]:
    """Convert the label of a question to answers.

    Args:
        label: an `Answer`; (text, start) in the first passage; a text, for all of its occurrences;
            a list of these; or None, "" or [] if the passages do not answer the question.
        question: the question.

    Returns:
        The answers; those with `start` below 0 occur in no passage.

    Raises:
        TaskError: an answer that is not at its place, or a label of another form.
    """
    found = []
    for given in _each(label):
        answers: list[Any] = [given]
        if isinstance(given, tuple):
            answers = [Answer(given[0], given[1], given[1] + len(given[0]))]
        elif isinstance(given, str):
            answers = [
                Answer(given, start, start + len(given), passage=number)
                for number, passage in enumerate(question.passages)
                for start in places(given, passage)
            ]
            if not answers:
                raise TaskError(
                    f"the answer {given!r:.60} occurs in no passage of {question.text!r:.60}."
                )
        found += [_checked(answer, question) for answer in answers]
    return found


def answer_texts(label: Any) -> list[str]:
    """Return the distinct texts of the answers in a label."""
    texts = [given if isinstance(given, str) else _text_of(given) for given in _each(label)]
    return list(dict.fromkeys(texts))


def _each(label: Any) -> Iterator[Answer | tuple[str, int] | str]:
    """Yield the single answers of a label."""
    if label is None or (isinstance(label, (str, list, tuple)) and not label):
        return
    if isinstance(label, Answer):
        if label.text:
            yield label
    elif isinstance(label, str):
        yield label
    elif isinstance(label, (tuple, list)) and _is_pair(label):
        yield tuple(label)
    elif isinstance(label, Sequence):
        for part in label:
            yield from _each(part)
    else:
        raise TaskError(
            f"a label is an Answer, a text, (text, start), a list of these, or None, not "
            f"{label!r:.80}."
        )


def _is_pair(label: Sequence) -> bool:
    return len(label) == 2 and isinstance(label[0], str) and type(label[1]) is int


def _text_of(given: Answer | tuple[str, int]) -> str:
    return given.text if isinstance(given, Answer) else given[0]


def _checked(answer: Answer, question: Question) -> Answer:
    if answer.start < 0:
        return answer
    if not 0 <= answer.passage < len(question.passages):
        raise TaskError(
            f"the answer {answer.text!r:.60} is in passage {answer.passage}, but the question "
            f"{question.text!r:.60} has {len(question.passages)}."
        )
    if question.passages[answer.passage][answer.start : answer.end] != answer.text:
        raise TaskError(
            f"the answer {answer.text!r:.60} is not at characters [{answer.start}, {answer.end}) "
            f"of passage {answer.passage} of the question {question.text!r:.60}."
        )
    return answer

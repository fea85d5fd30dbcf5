"""Possible answers of each task with their scores, from which a threshold is chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .base import Task, TaskError
from .classification import TextClassifier
from .novelty import NoveltyDetector
from .reading import ExtractiveQA
from .reading.labels import answer_texts
from .reading.metrics import find_metric
from .relations import RelationExtractor
from .similarity import Reranker, SentenceEncoder
from .similarity.functions import pairwise_similarity
from .tagging import Tagger

_SEARCHED_FROM = 0.01  # probability down to which answers are looked for
_POSITIVE = 0.5  # label of a pair above which its texts belong together


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Possible answers of a task to labelled samples.

    Attributes:
        scores: of each.
        right: for each 1 if it is right, 0 if not, or a share between.
        wanted: number of right answers, found or not.
        option: name of the task's option that is the threshold; "" if it has none.
        note: what the threshold means, for people.
    """

    scores: Sequence[float]
    right: Sequence[float]
    wanted: int
    option: str = ""
    note: str = ""


def find_candidates(
    task: Task, samples: Sequence[Any], labels: Sequence[Any], batch_size: int = 64
) -> Candidates:
    """Return the possible answers of a task to samples.

    Args:
        task: a classifier, tagger, relation extractor, reader, reranker, sentence encoder or
            novelty detector.
        samples, labels: what `predict` takes, and for each the label; of a novelty detector True if
            it is foreign.
        batch_size: as of `predict`.

    Raises:
        TaskError: another task, or one without scores.
    """
    for cls, collect in _COLLECT.items():
        if isinstance(task, cls):
            return collect(task, samples, labels, batch_size)
    known = ", ".join(cls.__name__ for cls in _COLLECT)
    raise TaskError(f"a {type(task).__name__} has no threshold; {known} have.")


def with_threshold(task: Task, found: Candidates, threshold: float) -> tuple[Task, float]:
    """Return the task with the option of a threshold, which keeps what scores at least so much.

    Args:
        task: the task; a reader and a novelty detector are changed themselves.
        found: its candidates.
        threshold: score.

    Returns:
        The task, and the value of its option. It is slightly lower than the threshold, since tasks
        keep what scores more than it; of a novelty detector it is a rate of false alarms.

    Raises:
        TaskError: the task has no such option.
    """
    if not found.option:
        raise TaskError(f"a {type(task).__name__} has no option for a threshold: {found.note}")
    value = float(np.clip(np.nextafter(threshold, -1.0) - 1e-9, 1e-6, 1 - 1e-6))
    if isinstance(task, NoveltyDetector):  # a text is foreign if its p-value is at most the rate
        value = float(task._fitted.p_values(np.array([threshold]))[0])
    if hasattr(task, "tags") or isinstance(task, RelationExtractor):
        return _searching(task, value), value
    setattr(task, found.option, value)
    return task, value


def _searching(task: Any, value: float) -> Any:
    """Return a task with another threshold that shares the model."""
    return type(task)(task.tokenizer, task.model, **{**task.get_config(), "threshold": value})


def _of_classes(task: Any, samples: Sequence, labels: Sequence, batch_size: int) -> Candidates:
    if task.problem == "regression":
        raise TaskError("a regression has no threshold: its answers are numbers.")
    answers = task.predict(samples, batch_size)
    if task.problem == "multi_label":
        sets = [{x} if isinstance(x, str) else set(map(str, x)) for x in labels]
        pairs = [
            (score, name in names)
            for answer, names in zip(answers, sets, strict=True)
            for name, score in answer.scores.items()
        ]
        note = "it takes the labels above 0.5; choose from the `scores` of its answers yourself."
        return _pairs(pairs, sum(map(len, sets)), note=note)
    pairs = [(a.score, a.label == str(x)) for a, x in zip(answers, labels, strict=True)]
    note = "it always answers; ignore answers whose `score` is below the threshold yourself."
    return _pairs(pairs, len(labels), note=note)


def _of_entities(task: Any, samples: Sequence, labels: Sequence, batch_size: int) -> Candidates:
    pointer = task.tags is None
    low = _searching(task, _SEARCHED_FROM) if pointer else task
    answers = low.predict(samples, batch_size)
    wanted = [{tuple(entity) for entity in label} for label in labels]
    pairs = [
        (one.score, one.span in gold)
        for answer, gold in zip(answers, wanted, strict=True)
        for one in answer
    ]
    note = (
        f"probability of an entity, searched from {_SEARCHED_FROM} on."
        if pointer
        else "it gives each token the best tag; ignore entities with a lower `score` yourself."
    )
    return _pairs(pairs, sum(map(len, wanted)), "threshold" if pointer else "", note)


def _of_triples(task: Any, samples: Sequence, labels: Sequence, batch_size: int) -> Candidates:
    answers = _searching(task, _SEARCHED_FROM).predict(samples, batch_size)
    placed = any(not isinstance(triple[0], str) for label in labels for triple in label)
    wanted = [{tuple(triple) for triple in label} for label in labels]
    pairs = []
    for answer, gold in zip(answers, wanted, strict=True):
        best: dict[Any, float] = {}  # the same strings may stand at several places
        for one in answer:
            key = one.places() if placed else one.strings()
            best[key] = max(one.score, best.get(key, 0.0))
        pairs += [(score, key in gold) for key, score in best.items()]
    note = f"lowest probability of the parts of a triple, searched from {_SEARCHED_FROM} on."
    if task.head == "casrel":
        note += " With casrel a span ends at the next end above the threshold, so scores vary."
    return _pairs(pairs, sum(map(len, wanted)), "threshold", note)


def _of_answers(task: Any, samples: Sequence, labels: Sequence, batch_size: int) -> Candidates:
    texts, confidences = task.best_answers(samples, batch_size)
    references = [answer_texts(label) for label in labels]
    measure = find_metric(task.metric)[1]
    pairs = [
        (confidence, measure(text, gold) if any(gold) else 0.0)
        for text, confidence, gold in zip(texts, confidences, references, strict=True)
        if text
    ]
    note = "confidence of the best answer against no answer; right is its F1."
    return _pairs(pairs, sum(map(any, references)), "no_answer_threshold", note)


def _of_text_pairs(task: Any, samples: Sequence, labels: Sequence, batch_size: int) -> Candidates:
    if isinstance(task, Reranker):
        scores = task.scores(samples, batch_size).tolist()
    else:
        first, second = (task.predict([pair[k] for pair in samples], batch_size) for k in (0, 1))
        scores = pairwise_similarity(first, second, task.similarity_name).tolist()
    grades = np.asarray(labels, float)
    top = max(1.0, float(grades.max(initial=0)))  # grades from 0 to 5, or 0 and 1
    right = (grades > _POSITIVE * top).tolist()
    note = f"pairs with a label above {_POSITIVE * top:g} belong together."
    return Candidates(scores, right, sum(right), note=f"it gives scores only; {note}")


def _of_texts(task: Any, samples: Sequence, labels: Sequence, batch_size: int) -> Candidates:
    answers = task.predict(samples, batch_size)
    pairs = [(a.score, bool(foreign)) for a, foreign in zip(answers, labels, strict=True)]
    note = "score above which a text is foreign; written is the rate of false alarms nearest to it."
    return _pairs(pairs, sum(map(bool, labels)), "false_alarm_rate", note)


def _pairs(
    pairs: Sequence[tuple[float, float]], wanted: int, option: str = "", note: str = ""
) -> Candidates:
    scores, right = [score for score, _ in pairs], [float(value) for _, value in pairs]
    return Candidates(scores, right, wanted, option, note)


_COLLECT: dict[type, Callable[..., Candidates]] = {
    TextClassifier: _of_classes,
    Tagger: _of_entities,
    RelationExtractor: _of_triples,
    ExtractiveQA: _of_answers,
    Reranker: _of_text_pairs,
    SentenceEncoder: _of_text_pairs,
    NoveltyDetector: _of_texts,
}

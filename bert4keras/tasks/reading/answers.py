"""From scores of starts and ends to answers in the words of the passage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..finite import as_scores
from .windows import Window


class ScoredSpan(NamedTuple):
    """Tokens [start, end) and how good an answer they are."""

    start: int
    end: int
    score: float


class Answer(NamedTuple):
    """Characters [start, end) of a passage, their text, and how good an answer it is."""

    text: str
    start: int
    end: int
    score: float


class Reading(NamedTuple):
    """What a passage says to a question.

    Attributes:
        answers: the best first.
        no_answer: the score of there being none.
    """

    answers: list[Answer]
    no_answer: float

    @property
    def margin(self) -> float:
        """How much better the best answer is than none; -inf where there is nothing to choose."""
        return self.answers[0].score - self.no_answer if self.answers else -float("inf")

    def text(self, threshold: float = 0.0) -> str:
        """The best answer if its margin is above the threshold, else the empty text.

        `no_answer_threshold` finds the threshold that is best on given questions; -inf
        always answers.
        """
        return self.answers[0].text if self.margin > threshold else ""


def best_spans(
    scores: np.ndarray,
    top: int = 20,
    max_length: int = 30,
    allowed: np.ndarray | None = None,
    combine: np.ufunc = np.add,
) -> list[ScoredSpan]:
    """The best pairs of a start and an end that is not before it.

    Args:
        scores: (T, 2), of each token as the first and as the last of an answer.
        top: pairs wanted at most.
        max_length: tokens of an answer at most.
        allowed: bool (T, 2) or (T, 1), which tokens may be first and last; None allows all.
        combine: makes the score of a pair: `numpy.add` for logits, `numpy.multiply` for
            probabilities.

    Returns:
        At most `top` spans, the best first; of equals the earlier, then the shorter.

    Raises:
        ValueError: scores of another shape, or limits below 1.
    """
    scores = as_scores(scores)
    if scores.ndim != 2 or scores.shape[1] != 2:
        raise ValueError(f"scores must have the shape (tokens, 2), not {scores.shape}.")
    if top < 1 or max_length < 1:
        raise ValueError(f"top={top} and max_length={max_length} must be at least 1.")
    allowed = np.broadcast_to(True if allowed is None else np.asarray(allowed, bool), scores.shape)
    starts = np.flatnonzero(allowed[:, 0])
    ends = starts[:, None] + np.arange(min(max_length, len(scores)))
    inside = ends < len(scores)
    ends = np.minimum(ends, max(len(scores) - 1, 0))
    rows, columns = np.nonzero(inside & allowed[ends, 1])
    starts, ends = starts[rows], ends[rows, columns]
    totals = combine(scores[starts, 0], scores[ends, 1])
    return [
        ScoredSpan(int(starts[i]), int(ends[i]) + 1, float(totals[i]))
        for i in np.argsort(-totals, kind="stable")[:top]
    ]


def read_answers(
    passage: str,
    windows: Sequence[Window],
    scores: Iterable[np.ndarray],
    top: int = 20,
    max_length: int = 30,
    central: bool = False,
) -> Reading:
    """The answers of one passage, from the scores of all of its windows.

    An answer has its best score over the windows. That there is none scores what the first
    token says as start and end, in the window that is surest to hold an answer (the least).

    Args:
        passage: the text that the windows were made of.
        windows: of `read_windows`.
        scores: for each window (T, 2), of each token as the first and as the last; more rows than
            the window has tokens are padding.
        top, max_length: as for `best_spans`, for each window.
        central: an answer counts only in the window where its first token has most context, as in
            Devlin et al. 2018. It must then be at most half as long as the overlap of the windows,
            or it may be whole in no window that counts.

    Returns:
        The reading, with at most `top` answers.

    Raises:
        ValueError: not as many scores as windows, or fewer rows than tokens.

    Source: Devlin et al., BERT, 2018 (arXiv:1810.04805), section 4.2 and 4.3.
    """
    best: dict[tuple[int, int], float] = {}
    no_answer = float("inf")
    for number, (window, rows) in enumerate(zip(windows, scores, strict=True)):
        rows = np.asarray(rows, "float64")
        if len(rows) < len(window.token_ids):
            raise ValueError(f"{len(rows)} rows of scores for {len(window.token_ids)} tokens.")
        rows = as_scores(rows[: len(window.token_ids)], "scores", number)
        no_answer = min(no_answer, float(rows[0].sum()))
        last = np.array(window.mask, bool)
        first = np.array(window.central) if central else last
        for span in best_spans(rows, top, max_length, np.stack([first, last], 1)):
            place = window.offsets[span.start][0], window.offsets[span.end - 1][1]
            best[place] = max(span.score, best.get(place, span.score))
    places = sorted(best, key=lambda place: -best[place])[:top]
    answers = [Answer(passage[a:b], a, b, best[a, b]) for a, b in places]
    return Reading(answers, no_answer)


def vote(
    passages: Iterable[Iterable[Answer | tuple]],
    key: Callable[[str], str] = str,
) -> list[tuple[str, float]]:
    """The answer on which several passages agree.

    An answer has in each passage the score s of its best place there, from 0 to 1, and over all
    passages the sum of s^2 divided by 1 + the sum of s: sure passages that agree win, and any
    number of unsure ones does not outvote a sure one.

    Args:
        passages: for each the answers found in it: `Answer`s, or other tuples that begin with a
            text and end with a score.
        key: texts for which this gives the same are one answer, shown as its best text;
            `tasks.reading.webqa_normalize` for instance.

    Returns:
        (text, score) of each answer, the best first.

    Raises:
        ValueError: a score below 0: it is no probability.

    Source: Su Jianlin, https://kexue.fm/archives/5409.

    >>> vote([[("Paris", 0.5), ("Rome", 0.6)], [("Paris", 0.5)]])[0]  # 0.5 / 2; 0.36 / 1.6
    ('Paris', 0.25)
    """
    votes: dict[str, list[float]] = {}
    shown: dict[str, tuple[float, str]] = {}
    for answers in passages:
        best: dict[str, float] = {}
        for text, *_, score in answers:
            if not 0 <= score < float("inf"):
                raise ValueError(f"The score of {text!r} is {score}, but votes are from 0 to 1.")
            name = key(text)
            best[name] = max(score, best.get(name, score))
            if name not in shown or score > shown[name][0]:
                shown[name] = score, text
        for name, score in best.items():
            votes.setdefault(name, []).append(score)
    totals = {
        name: sum(s * s for s in several) / (1 + sum(several)) for name, several in votes.items()
    }
    return [(shown[name][1], totals[name]) for name in sorted(totals, key=lambda n: -totals[n])]

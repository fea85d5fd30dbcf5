"""Decoding of start and end scores to answers in a passage."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..finite import as_scores
from .samples import Answer
from .windows import PassageWindow


class ScoredSpan(NamedTuple):
    """Tokens [start, end) and their score as an answer."""

    start: int
    end: int
    score: float


@dataclasses.dataclass(frozen=True)
class PassageAnswers:
    """Answers found in one passage.

    Attributes:
        answers: with their probabilities, best first.
        no_answer: probability that the passage has no answer.
    """

    answers: list[Answer]
    no_answer: float

    @property
    def confidence(self) -> float:
        """`confidence_of` the best answer; 0 if there are no answers."""
        return self.confidence_of(self.answers[0]) if self.answers else 0.0

    def confidence_of(self, answer: Answer) -> float:
        """Return p / (p + q), for the probabilities p of the answer and q of "no answer"."""
        total = answer.score + self.no_answer
        return answer.score / total if total > 0 else 0.0


def best_spans(
    scores: np.ndarray,
    top: int = 20,
    max_length: int = 30,
    allowed: np.ndarray | None = None,
    combine: np.ufunc = np.add,
) -> list[ScoredSpan]:
    """Find the best pairs of a start and an end that is not before the start.

    Args:
        scores: (T, 2), of each token as first and as last token of an answer.
        top: maximum number of pairs.
        max_length: maximum number of tokens of an answer.
        allowed: bool (T, 2) or (T, 1), which tokens may be first and last; None allows all.
        combine: function of both scores that gives the score of a pair: `numpy.add` for logits,
            `numpy.multiply` for probabilities.

    Returns:
        At most `top` spans, best first; of equal scores the earlier, then the shorter one first.

    Raises:
        ValueError: scores of another shape, or limits below 1.
    """
    scores = as_scores(scores)
    if scores.ndim != 2 or scores.shape[1] != 2:
        raise ValueError(f"scores must have the shape (tokens, 2), not {scores.shape}.")
    if top < 1 or max_length < 1:
        raise ValueError(f"top={top} and max_length={max_length} must be at least 1.")
    allowed = np.broadcast_to(True if allowed is None else np.asarray(allowed, bool), scores.shape)
    totals = _pair_scores(scores, allowed, max_length, combine)
    return [ScoredSpan(i, i + k + 1, float(totals[i, k])) for i, k in _ranked(totals, top)]


def _pair_scores(
    scores: np.ndarray, allowed: np.ndarray, max_length: int, combine: np.ufunc
) -> np.ndarray:
    """Return (T, L): at [i, k] the score of tokens i, ..., i + k; nan if not allowed."""
    size = len(scores)
    ends = np.arange(size)[:, None] + np.arange(min(max_length, max(size, 1)))
    inside = ends < size
    ends = np.minimum(ends, max(size - 1, 0))
    if not size:
        return np.full(ends.shape, np.nan)
    possible = inside & allowed[:, :1] & allowed[ends, 1]
    return np.where(possible, combine(scores[:, :1], scores[ends, 1]), np.nan)


def _ranked(totals: np.ndarray, top: int) -> list[tuple[int, int]]:
    """Return the indices (i, k) of the highest scores, best first; of equals the first."""
    flat = totals.ravel()
    known = np.flatnonzero(~np.isnan(flat))
    if len(known) > 4 * top:  # sort only scores that reach rank `top`
        limit = np.partition(flat[known], -top)[-top]
        known = known[flat[known] >= limit]
    order = known[np.argsort(-flat[known], kind="stable")][:top]
    return [(int(place) // totals.shape[1], int(place) % totals.shape[1]) for place in order]


def read_answers(
    passage: str,
    windows: Sequence[PassageWindow],
    scores: Iterable[np.ndarray],
    top: int = 20,
    max_length: int = 30,
    none_position: int | None = 0,
    max_context: bool = False,
    number: int = 0,
) -> PassageAnswers:
    """Decode the answers of a passage from the logits of all its windows.

    The score of a span is the sum of its start and end logits; if several windows contain it, the
    highest one. The score of "no answer" is the sum of both logits of one token; the lowest over
    the windows. Probabilities are the softmax over all spans and "no answer".

    Args:
        passage: the passage.
        windows: of the passage, from `encode_passages`.
        scores: for each window (T, 2), of each token as first and as last token; rows beyond the
            tokens of the window are padding.
        top: maximum number of answers.
        max_length: maximum number of tokens of an answer.
        none_position: position of the token for "no answer"; None: there is always an answer.
        max_context: count a span only in the window where its first token has most context. Answers
            must then be at most half as long as the overlap of the windows; a longer one may be
            split by every window that counts.
        number: index of the passage, for the answers.

    Raises:
        ValueError: different numbers of scores and windows, or fewer rows than tokens.

    Source: Devlin et al., BERT, 2018 (arXiv:1810.04805), section 4.2 and 4.3.
    """
    rows = _without_padding(windows, scores)
    totals, offsets = _passage_scores(windows, rows, max_length, np.add, max_context)
    none = -np.inf
    if none_position is not None:
        none = min((float(row[none_position].sum()) for row in rows), default=0.0)
    known = totals[~np.isnan(totals)]
    highest = max(known.max(initial=-np.inf), none)
    if not np.isfinite(highest):
        return PassageAnswers([], 1.0)
    total = np.exp(known - highest).sum() + np.exp(none - highest)
    found = _answers(passage, np.exp(totals - highest) / total, offsets, top, number)
    return PassageAnswers(found, float(np.exp(none - highest) / total))


def read_probabilities(
    passage: str,
    windows: Sequence[PassageWindow],
    probabilities: Iterable[np.ndarray],
    top: int = 20,
    max_length: int = 30,
    number: int = 0,
) -> PassageAnswers:
    """Decode the answers of a passage from independent start and end probabilities (`DGCNN`).

    The probability of a span is the product of both; that of "no answer" is 1 minus that of the
    best span. Arguments as of `read_answers`.
    """
    rows = _without_padding(windows, probabilities)
    totals, offsets = _passage_scores(windows, rows, max_length, np.multiply)
    found = _answers(passage, totals, offsets, top, number)
    return PassageAnswers(found, 1.0 - found[0].score if found else 1.0)


def _without_padding(
    windows: Sequence[PassageWindow], scores: Iterable[np.ndarray]
) -> list[np.ndarray]:
    """Return the scores of each window without padding."""
    found = []
    for number, (window, rows) in enumerate(zip(windows, scores, strict=True)):
        rows, size = np.asarray(rows, "float64"), len(window.token_ids)
        if len(rows) < size:
            raise ValueError(f"Window {number} has {len(rows)} rows of scores for {size} tokens.")
        found.append(as_scores(rows[:size], "scores", number))
    return found


def _passage_scores(
    windows: Sequence[PassageWindow],
    rows: Sequence[np.ndarray],
    max_length: int,
    combine: np.ufunc,
    max_context: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Merge the windows: the best score of each span of the passage.

    Returns:
        (N, L), at [i, k] the score of tokens i, ..., i + k of the passage, nan if no window
        contains them; and (N, 2), the offsets of the tokens.
    """
    size = max((w.first + w.end - w.begin for w in windows), default=0)
    totals = np.full((size, min(max_length, max(size, 1))), np.nan)
    offsets = np.zeros((size, 2), "int64")
    for window, scores in zip(windows, rows, strict=True):
        own = slice(window.begin, window.end)
        allowed = np.ones((window.end - window.begin, 2), bool)
        if max_context:
            allowed[:, 0] = window.max_context[own]
        pairs = _pair_scores(scores[own], allowed, max_length, combine)
        place = slice(window.first, window.first + len(pairs))
        part = totals[place, : pairs.shape[1]]
        np.fmax(part, pairs, out=part)
        offsets[place] = np.reshape(window.offsets[own], (-1, 2))
    return totals, offsets


def _answers(
    passage: str, totals: np.ndarray, offsets: np.ndarray, top: int, number: int
) -> list[Answer]:
    """Return the best spans as answers; spans without characters, or only blanks, are skipped."""
    found: dict[tuple[int, int], Answer] = {}
    for i, k in _ranked(totals, 2 * top + 10):
        start, end = int(offsets[i, 0]), int(offsets[i + k, 1])
        text = passage[start:end]
        if text.strip() and (start, end) not in found:
            found[start, end] = Answer(text, start, end, float(totals[i, k]), number)
    return list(found.values())[:top]


def aggregate_answers(
    passages: Iterable[Iterable[Answer]],
    key: Callable[[str], str] = str,
) -> list[tuple[Answer, float]]:
    """Combine the answers of several passages by a weighted vote.

    Let s be the score of an answer in a passage, from 0 to 1; the best, if it occurs there several
    times. Its vote is sum(s^2) / (1 + sum(s)) over the passages. So confident passages that agree
    win, and many unsure passages cannot outvote a confident one.

    Args:
        passages: for each passage its answers.
        key: function of a text; answers with equal results are one answer, shown where it has its
            best score. For instance `webqa_normalize`.

    Returns:
        Pairs (answer, vote), highest vote first.

    Raises:
        ValueError: a score below 0 or infinite.

    Source: Su Jianlin, https://kexue.fm/archives/5409.

    >>> paris, rome = Answer("Paris", 0, 5, 0.5), Answer("Rome", 9, 13, 0.6)
    >>> [(answer.text, vote) for answer, vote in aggregate_answers([[paris, rome], [paris]])][0]
    ('Paris', 0.25)
    """
    votes: dict[str, list[float]] = {}
    shown: dict[str, Answer] = {}
    for answers in passages:
        best: dict[str, float] = {}
        for answer in answers:
            if not 0 <= answer.score < float("inf"):
                raise ValueError(
                    f"The score of {answer.text!r} is {answer.score}, but it must be from 0 to 1."
                )
            name = key(answer.text)
            best[name] = max(answer.score, best.get(name, answer.score))
            if name not in shown or answer.score > shown[name].score:
                shown[name] = answer
        for name, score in best.items():
            votes.setdefault(name, []).append(score)
    totals = {
        name: sum(s * s for s in several) / (1 + sum(several)) for name, several in votes.items()
    }
    return [(shown[name], totals[name]) for name in sorted(totals, key=lambda n: -totals[n])]

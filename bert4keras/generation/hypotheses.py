"""State of `AutoRegressiveDecoder`: growing rows, stopping criteria, and the choice of beams.

Legend: R rows, V vocabulary, t tokens so far. A row is a hypothesis of the sample that owns it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

_Hypothesis = tuple[np.ndarray, float]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Outputs that still grow; all have the same number of tokens, t.

    Attributes:
        inputs: for each input an array (R, ...), or a list of R arrays.
        output_ids: int (R, t).
        states: states of the user's `predict`.
        owner: int (R,), index of the sample that a row belongs to, in ascending order.
        ends: int (R,), end tokens generated so far.
        scores: (R,), sums of log-probabilities.
    """

    inputs: list
    output_ids: np.ndarray
    states: Any
    owner: np.ndarray
    ends: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.owner)

    def grow(self, parents, tokens, scores, states, is_end) -> Rows:
        """Return the rows `parents` with one more token each; all arguments are (k,)."""
        return Rows(
            inputs=[_select_rows(x, parents) for x in self.inputs],
            output_ids=np.concatenate([self.output_ids[parents], tokens[:, None]], axis=1),
            states=reorder(states, parents, len(self)),
            owner=self.owner[parents],
            ends=self.ends[parents] + is_end,
            scores=scores,
        )


@dataclasses.dataclass(frozen=True)
class StoppingCriteria:
    """Criteria for the end of an output; lengths count all its tokens, the first ones included."""

    end_id: int | None
    minlen: int
    maxlen: int
    min_ends: int

    def is_end(self, tokens: np.ndarray) -> np.ndarray:
        """Return which tokens are the end token, bool."""
        return np.zeros(len(tokens), bool) if self.end_id is None else tokens == self.end_id

    def too_early(self, rows: Rows) -> np.ndarray:
        """Return in which rows an end token would come before `minlen`, bool (R,)."""
        early = rows.output_ids.shape[1] + 1 < self.minlen
        return early & (rows.ends + 1 >= self.min_ends)

    def is_over(self, rows: Rows, parents: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Return which of the rows `parents` are over once these tokens are appended, bool (k,)."""
        if rows.output_ids.shape[1] + 1 >= self.maxlen:
            return np.ones(len(tokens), bool)
        return self.is_end(tokens) & (rows.ends[parents] + 1 >= self.min_ends)


class Beams:
    """Choice of the beams of each sample; `generation.BeamSearch` describes the algorithm.

    Args:
        topk: beam size, the number of rows of a sample that go on.
        n_best: number of outputs to find for each sample.
        ending: criteria for the end of an output.
        length_penalty: p; finished outputs are compared by their sum over `length ** p`.
        first: number of tokens that outputs begin with; they do not count as length.
    """

    def __init__(
        self, topk: int, n_best: int, ending: StoppingCriteria, length_penalty: float, first: int
    ):
        self.topk = topk
        self.n_best = n_best
        self.ending = ending
        self.length_penalty = length_penalty
        self.first = first
        self.finished: dict[int, list[_Hypothesis]] = {}

    def choose(self, rows: Rows, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keep the outputs that are over, and choose the rows that go on.

        Args:
            rows: outputs so far.
            scores: log-probabilities (R, V) of their next tokens.

        Returns:
            The row that each new row continues, its new token and its score; (k,) each.

        Raises:
            ValueError: no row of a sample goes on, and none is over.
        """
        totals = rows.scores[:, None] + scores
        chosen = [self._choose(rows, totals, s) for s in np.unique(rows.owner)]
        parents, tokens = (np.concatenate(part) for part in zip(*chosen, strict=True))
        return parents, tokens, totals[parents, tokens]

    def _choose(self, rows: Rows, totals: np.ndarray, sample: int) -> tuple:
        members = np.flatnonzero(rows.owner == sample)
        candidates = totals[members].ravel()
        # Each row has one candidate that ends, so at least topk of 2 topk candidates go on.
        best = largest(candidates, 2 * self.topk)
        parents, tokens = members[best // totals.shape[1]], best % totals.shape[1]
        over = self.ending.is_over(rows, parents, tokens)
        length = rows.output_ids.shape[1] + 1 - self.first
        # Only the topk best candidates may finish, so beam size 1 equals greedy search.
        found = self.finished.setdefault(int(sample), [])
        for i in np.flatnonzero(over[: self.topk]):
            ids = np.append(rows.output_ids[parents[i]], tokens[i])
            found.append((ids, self._normalized(totals[parents[i], tokens[i]], length)))
        found.sort(key=lambda hypothesis: -hypothesis[1])
        del found[self.n_best :]
        parents, tokens = parents[~over][: self.topk], tokens[~over][: self.topk]
        if not len(parents) and not found:
            raise nothing_possible(length - 1)
        if len(parents) and not self._can_improve(found, totals[parents[0], tokens[0]], length):
            return parents[:0], tokens[:0]
        return parents, tokens

    def _normalized(self, total: float, length: int) -> float:
        return float(total) / length**self.length_penalty

    def _can_improve(self, found: list[_Hypothesis], total: float, length: int) -> bool:
        """Return whether a row with this sum of log-probabilities may give a better output."""
        if len(found) < self.n_best:
            return True
        lengths = (length + 1, self.ending.maxlen - self.first)
        return max(self._normalized(total, n) for n in lengths) > found[-1][1]


def nothing_possible(step: int) -> ValueError:
    """Return the error for a step at which every token has probability 0."""
    return ValueError(
        f"no next token is possible at step {step}: all have probability 0. Constraints of the "
        "output must leave at least one token besides an end token that minlen forbids."
    )


def largest(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the indices (<= k,) of the k largest scores above -inf, in descending order.

    Of equal scores the one with the lower index comes first.
    """
    places = np.arange(len(scores))
    if k < len(scores):
        places = np.argpartition(-scores, k - 1)[:k]
    places = places[scores[places] > -np.inf]
    return places[np.lexsort((places, -scores[places]))]


def sample_tokens(
    probas: np.ndarray, uniform: np.ndarray, topk: int | None, topp: float | None
) -> np.ndarray:
    """Draw a token from each row of (R, V), among its best, by uniform numbers (R,) in [0, 1)."""
    order = None
    topp = None if topp is None or topp >= 1 else topp  # 1 cuts nothing
    if topk is not None or topp is not None:
        order = np.argsort(-probas, axis=1, kind="stable")
        probas = np.take_along_axis(probas, order, axis=1)
        probas = probas[:, :topk]
    cumulative = np.cumsum(probas, axis=1)
    if topp is not None:
        before = cumulative - probas
        probas = np.where(before < topp * cumulative[:, -1:], probas, 0)
        cumulative = np.cumsum(probas, axis=1)
    # The first index whose cumulative sum is above the number; its probability is never 0.
    tokens = (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(axis=1)
    return tokens if order is None else np.take_along_axis(order, tokens[:, None], axis=1)[:, 0]


def group_samples(batch: Sequence[Sequence], ragged: bool) -> Iterator[tuple[np.ndarray, list]]:
    """Group the samples that one call of `predict` can take.

    Args:
        batch: for each sample its inputs.
        ragged: True groups all samples, as lists; False those of equal shapes, as arrays.

    Yields:
        Indices of the samples in the batch, and for each input its rows.
    """
    groups: dict[Any, list[int]] = {}
    samples = [[np.asarray(x) for x in sample] for sample in batch]
    for place, sample in enumerate(samples):
        if len(sample) != len(samples[0]):
            raise ValueError(
                f"sample {place} of the batch has {len(sample)} inputs, sample 0 has "
                f"{len(samples[0])}; a batch is a list of samples, each a list of its inputs."
            )
        groups.setdefault(None if ragged else tuple(x.shape for x in sample), []).append(place)
    for places in groups.values():
        inputs = [list(rows) for rows in zip(*(samples[p] for p in places), strict=True)]
        yield np.array(places), inputs if ragged else [np.stack(rows) for rows in inputs]


def _select_rows(rows: Any, places: np.ndarray) -> Any:
    """Return the rows at `places` of an array, a tensor or a list."""
    if len(places) == len(rows) and np.array_equal(places, np.arange(len(rows))):
        return rows
    if isinstance(rows, list):
        return [rows[place] for place in places]
    return rows[places] if isinstance(rows, np.ndarray) else keras.ops.take(rows, places, axis=0)


def reorder(states: Any, places: np.ndarray, count: int) -> Any:
    """Return `states` with the rows at `places` of every array or tensor that has `count` rows."""

    def pick(leaf: Any) -> Any:
        has_rows = isinstance(leaf, np.ndarray) or keras.ops.is_tensor(leaf)
        if has_rows and len(leaf.shape) and leaf.shape[0] == count:
            return _select_rows(leaf, places)
        return leaf

    return keras.tree.map_structure(pick, states)

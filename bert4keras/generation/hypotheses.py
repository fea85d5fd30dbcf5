"""What `AutoRegressiveDecoder` keeps account of: rows that grow, when they end, which to keep.

Legend: R rows, V vocabulary, t tokens so far. A row is a hypothesis of the sample that owns it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

Hypothesis = tuple[np.ndarray, float]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Outputs that still grow; all have the same number of tokens.

    Attributes:
        inputs: for each input an array (R, ...), or a list of R arrays.
        output_ids: int (R, t).
        states: the user's own.
        owner: int (R,), the sample that a row belongs to; in ascending order.
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
        """The rows `parents` (k,), each with one token more; the other arguments go with them."""
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
    """When an output is over; lengths are in tokens, what outputs begin with included."""

    end_id: int | None
    minlen: int
    maxlen: int
    min_ends: int

    def is_end(self, tokens: np.ndarray) -> np.ndarray:
        """Whether tokens are the end token."""
        return np.zeros(len(tokens), bool) if self.end_id is None else tokens == self.end_id

    def too_early(self, rows: Rows) -> np.ndarray:
        """Whether an end token would now end a row that has to go on, bool (R,)."""
        early = rows.output_ids.shape[1] + 1 < self.minlen
        return early & (rows.ends + 1 >= self.min_ends)

    def is_over(self, rows: Rows, parents: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Whether the rows `parents` are over with these tokens appended."""
        if rows.output_ids.shape[1] + 1 >= self.maxlen:
            return np.ones(len(tokens), bool)
        return self.is_end(tokens) & (rows.ends[parents] + 1 >= self.min_ends)


class Beams:
    """The choice of beam search: what goes on, and the best of what is over.

    Args:
        topk: rows of a sample that go on.
        n_best: outputs of a sample to find.
        ending: when an output is over.
        length_penalty: power of the length that a sum of log-probabilities is divided by.
        first: tokens that outputs begin with; they do not count as length.
    """

    def __init__(
        self, topk: int, n_best: int, ending: StoppingCriteria, length_penalty: float, first: int
    ):
        self.topk = topk
        self.n_best = n_best
        self.ending = ending
        self.length_penalty = length_penalty
        self.first = first
        self.finished: dict[int, list[Hypothesis]] = {}

    def choose(self, rows: Rows, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keep what is over, choose what goes on.

        Args:
            rows: what has grown so far.
            scores: log-probabilities (R, V) of their next tokens.

        Returns:
            For the rows that go on: the row before (k,), its new token (k,), its score (k,).

        Raises:
            ValueError: a sample for which nothing goes on and nothing is over.
        """
        totals = rows.scores[:, None] + scores
        chosen = [self._choose(rows, totals, s) for s in np.unique(rows.owner)]
        parents, tokens = (np.concatenate(part) for part in zip(*chosen, strict=True))
        return parents, tokens, totals[parents, tokens]

    def _choose(self, rows: Rows, totals: np.ndarray, sample: int) -> tuple:
        members = np.flatnonzero(rows.owner == sample)
        candidates = totals[members].ravel()
        # Each row can end in one way, so of twice as many enough go on.
        best = largest(candidates, 2 * self.topk)
        parents, tokens = members[best // totals.shape[1]], best % totals.shape[1]
        over = self.ending.is_over(rows, parents, tokens)
        length = rows.output_ids.shape[1] + 1 - self.first
        # What ends competes for a place in the beam as anything else does: topk=1 is greedy.
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

    def _can_improve(self, found: list[Hypothesis], total: float, length: int) -> bool:
        """Whether a sum of log-probabilities, which can only fall, may yet lead to a better one."""
        if len(found) < self.n_best:
            return True
        lengths = (length + 1, self.ending.maxlen - self.first)
        return max(self._normalized(total, n) for n in lengths) > found[-1][1]


def nothing_possible(step: int) -> ValueError:
    """The error for a step at which every token has probability 0."""
    return ValueError(
        f"no next token is possible at step {step}: all have probability 0. What constrains the "
        "output has to leave one; the end token does not count where minlen forbids it."
    )


def largest(scores: np.ndarray, k: int) -> np.ndarray:
    """Places (<= k,) of the k largest scores above -inf, in descending order, ties by place."""
    places = np.arange(len(scores))
    if k < len(scores):
        places = np.argpartition(-scores, k - 1)[:k]
    places = places[scores[places] > -np.inf]
    return places[np.lexsort((places, -scores[places]))]


def sample_tokens(
    probas: np.ndarray, uniform: np.ndarray, topk: int | None, topp: float | None
) -> np.ndarray:
    """Draw a token from each row (R, V), out of the best ones, by a number in [0, 1) for each."""
    order = None
    if topk is not None or topp is not None:
        order = np.argsort(-probas, axis=1, kind="stable")
        probas = np.take_along_axis(probas, order, axis=1)
        probas = probas[:, :topk]
    cumulative = np.cumsum(probas, axis=1)
    if topp is not None and topp < 1:
        before = cumulative - probas
        probas = np.where(before < topp * cumulative[:, -1:], probas, 0)
        cumulative = np.cumsum(probas, axis=1)
    # The first place beyond the number: never one whose probability is 0.
    tokens = (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(axis=1)
    return tokens if order is None else np.take_along_axis(order, tokens[:, None], axis=1)[:, 0]


def group_samples(batch: Sequence[Sequence], ragged: bool) -> Iterator[tuple[np.ndarray, list]]:
    """Put together the samples that one call of `predict` can take.

    Args:
        batch: for each sample its inputs.
        ragged: any samples go together, as lists; else those of the same shapes, as arrays.

    Yields:
        Places of the samples in the batch, and for each input its rows.
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
    """Rows in a new order: of an array, of a backend's tensor, or of a list."""
    if len(places) == len(rows) and np.array_equal(places, np.arange(len(rows))):
        return rows
    if isinstance(rows, list):
        return [rows[place] for place in places]
    return rows[places] if isinstance(rows, np.ndarray) else keras.ops.take(rows, places, axis=0)


def reorder(states: Any, places: np.ndarray, count: int) -> Any:
    """Every array or tensor in `states` that has `count` rows, in a new order of rows."""

    def pick(leaf: Any) -> Any:
        has_rows = isinstance(leaf, np.ndarray) or keras.ops.is_tensor(leaf)
        if has_rows and len(leaf.shape) and leaf.shape[0] == count:
            return _select_rows(leaf, places)
        return leaf

    return keras.tree.map_structure(pick, states)

"""Strategy of heads that score spans: training labels and entities, as pairs of tokens."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..._types import Tensor
from ..finite import as_scores
from ..labelled_span import LabelledSpan
from ..span_matrix import span_pairs, sparse_pairs
from .global_pointer import GlobalPointer
from .tokens import ScoredEntity, TextTokens


class _Pairs(NamedTuple):
    """The N pairs of tokens of a window that score above the threshold.

    Attributes:
        places: int (N, 3): index of the label, positions of the first and the last token.
        scores: (N,).
    """

    places: np.ndarray
    scores: np.ndarray


class SpanAnswers:
    """Training labels and answers of a `GlobalPointer`.

    Args:
        head: the layer.
        labels: names of its H labels.
        nested: keep overlapping entities; False keeps the more probable of two.
        threshold: minimum probability of an entity.
    """

    def __init__(self, head: GlobalPointer, labels: Sequence[str], nested: bool, threshold: float):
        self.head, self.labels, self.nested = head, list(labels), nested
        self.min_score = math.log(threshold) - math.log1p(-threshold)

    @property
    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Loss of the head."""
        return self.head.sparse_loss

    def read_weights(self) -> None:
        """Do nothing: the model itself has scored the pairs."""

    def stored(self) -> dict[str, np.ndarray]:
        """Return nothing: the graph scores the pairs."""
        return {}

    def condense(self, output: np.ndarray) -> _Pairs:
        """Return what is kept of a window's output (H, T, T): the pairs above the threshold."""
        scores = as_scores(output)
        places = np.argwhere(scores > self.min_score)
        return _Pairs(places, scores[tuple(places.T)])

    def label(
        self, tokens: TextTokens, entities: Sequence[LabelledSpan], window: int
    ) -> np.ndarray:
        """Return the entities inside a window as pairs of first and last token, (H, n, 2)."""
        start, end = tokens.windows[window]
        shift, inside = tokens.begins[window] - start, []
        for entity in entities:
            first, last = tokens.tokens_of(entity.start, entity.end)
            if start <= first and last < end:
                inside.append((first + shift, last + shift + 1, entity.label))
        return sparse_pairs(span_pairs(inside, self.labels), len(self.labels))

    def answers(self, outputs: Sequence[_Pairs], tokens: TextTokens) -> list[ScoredEntity]:
        """Return the entities, in units, with their probabilities, in the order of the text.

        If several windows score a pair, the one with most context around it counts.
        """
        units = {place: unit for unit, place in enumerate(tokens.places)}
        found = []
        for number, (pairs, begin) in enumerate(zip(outputs, tokens.begins, strict=True)):
            start, end = tokens.windows[number]
            for (head, first, last), score in zip(
                pairs.places.tolist(), pairs.scores.tolist(), strict=True
            ):
                first, last = first + start - begin, last + start - begin
                span = units.get(first), units.get(last)
                if not start <= first <= last < end or None in span:
                    continue
                if best_window(tokens.windows, first, last) == number:
                    found.append((score, LabelledSpan(span[0], span[1] + 1, self.labels[head])))
        if not self.nested:
            found = _without_overlaps(found, len(tokens.spans))
        return sorted((entity, 0.5 * (1 + math.tanh(score / 2))) for score, entity in found)


def _without_overlaps(
    found: list[tuple[float, LabelledSpan]], length: int
) -> list[tuple[float, LabelledSpan]]:
    """Keep the entities that overlap no entity of a higher score."""
    taken, kept = np.zeros(length, bool), []
    for score, entity in sorted(found, key=lambda item: (-item[0], item[1])):
        if not taken[entity.start : entity.end].any():
            taken[entity.start : entity.end] = True
            kept.append((score, entity))
    return kept


def best_window(windows: Sequence[tuple[int, int]], first: int, last: int) -> int:
    """Return the index of the window that maximises the smaller context on both sides of a pair.

    Args:
        windows: (start, end) of each window, in order; at least one holds both tokens.
        first, last: the two tokens.
    """
    begin = bisect.bisect_right(windows, last, key=lambda window: window[1])
    stop = bisect.bisect_right(windows, first, key=lambda window: window[0])
    return max(
        range(begin, stop), key=lambda n: min(first - windows[n][0], windows[n][1] - 1 - last)
    )

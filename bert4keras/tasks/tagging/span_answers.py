"""Between entities and scores of pairs of tokens: labels to train on, and answers."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..finite import as_scores
from ..labelled_span import LabelledSpan
from ..span_matrix import span_pairs, sparse_pairs
from .tokens import TextTokens

Scored = tuple[LabelledSpan, float]


class Pairs(NamedTuple):
    """The pairs of a window that score above the threshold, N of them.

    Attributes:
        places: int (N, 3), number of the head, position of the first and of the last token.
        scores: (N,).
    """

    places: np.ndarray
    scores: np.ndarray


class SpanAnswers:
    """Labels and answers of a GlobalPointer.

    Args:
        labels: names of its heads.
        nested: whether entities may overlap; otherwise the more probable one of two stays.
        threshold: probability from which on a span is an entity.
    """

    def __init__(self, labels: Sequence[str], nested: bool, threshold: float):
        self.labels, self.nested = list(labels), nested
        self.lowest = math.log(threshold) - math.log1p(-threshold)

    def read_weights(self) -> None:
        """There are none to read: the model has scored the pairs."""

    def condense(self, output: np.ndarray) -> Pairs:
        """Keep of a matrix (H, T, T) what may be an entity."""
        scores = as_scores(output)
        places = np.argwhere(scores > self.lowest)
        return Pairs(places, scores[tuple(places.T)])

    def label(
        self, tokens: TextTokens, entities: Sequence[LabelledSpan], window: int
    ) -> np.ndarray:
        """Pairs of first and last token of the entities that are whole in a window: (H, n, 2)."""
        start, end = tokens.windows[window]
        shift, inside = tokens.begins[window] - start, []
        for entity in entities:
            first, last = tokens.tokens_of(entity.start, entity.end)
            if start <= first and last < end:
                inside.append((first + shift, last + shift + 1, entity.label))
        return sparse_pairs(span_pairs(inside, self.labels), len(self.labels))

    def answers(self, outputs: Sequence[Pairs], tokens: TextTokens) -> list[Scored]:
        """Entities in units with their probabilities, in the order of the text.

        Of a pair that several windows score, the window with most context around it counts.
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
    """Of entities with scores, those that no better one overlaps."""
    taken, kept = np.zeros(length, bool), []
    for score, entity in sorted(found, key=lambda item: (-item[0], item[1])):
        if not taken[entity.start : entity.end].any():
            taken[entity.start : entity.end] = True
            kept.append((score, entity))
    return kept


def best_window(windows: Sequence[tuple[int, int]], first: int, last: int) -> int:
    """Number of the window in which two tokens have most context on their poorer side.

    Args:
        windows: (start, end) of each, in order; one of them holds both tokens.
        first, last: the tokens.
    """
    begin = bisect.bisect_right(windows, last, key=lambda window: window[1])
    stop = bisect.bisect_right(windows, first, key=lambda window: window[0])
    return max(
        range(begin, stop), key=lambda n: min(first - windows[n][0], windows[n][1] - 1 - last)
    )

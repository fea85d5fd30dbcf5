"""Between entities and scores of pairs of tokens: labels to train on, and answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..finite import as_scores
from ..labelled_span import LabelledSpan
from ..span_matrix import apart, span_pairs, sparse_pairs
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
            shift = start - begin
            for (head, first, last), score in zip(
                pairs.places.tolist(), pairs.scores.tolist(), strict=True
            ):
                first, last = first + shift, last + shift
                span = units.get(first), units.get(last)
                if not start <= first <= last < end or None in span:
                    continue
                if best_window(tokens.windows, first, last) == number:
                    found.append((score, LabelledSpan(span[0], span[1] + 1, self.labels[head])))
        if not self.nested:
            kept = set(apart(found))
            found = [(score, entity) for score, entity in found if entity in kept]
        return sorted((entity, 0.5 * (1 + math.tanh(score / 2))) for score, entity in found)


def best_window(windows: Sequence[tuple[int, int]], first: int, last: int) -> int:
    """Number of the window in which the tokens have most context on their poorer side."""
    if len(windows) == 1:
        return 0
    context = [
        (min(first - start, end - 1 - last), -number)
        for number, (start, end) in enumerate(windows)
        if start <= first and last < end
    ]
    return -max(context)[1]

"""Distribution of the tag sequences of one text, as a Markov chain that is not normalised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

_LOWEST = -300.0  # lower bound of logarithms, so that no sum of factors becomes 0


@dataclasses.dataclass(frozen=True)
class TagChain:
    """Distribution P(y) proportional to first[y_1] * prod_t step(t)[y_t-1, y_t] * last[y_U].

    A CRF, an MEMM and independent tags (softmax) all have this form. Positions count from 0 in the
    code: `step(t)` leads from position t - 1 to t.

    Attributes:
        first: (C,).
        step: function: t = 1 .. U - 1 -> factors (C, C), from the row's tag to the column's.
        last: (C,).
        length: U, at least 1.
    """

    first: np.ndarray
    step: Callable[[int], np.ndarray]
    last: np.ndarray
    length: int


def global_chain(scores: np.ndarray, matrix: np.ndarray | None = None) -> TagChain:
    """Return the chain whose factors are exp of scores: a CRF, or independent tags.

    Args:
        scores: (U, C).
        matrix: (C + 1, C + 1), from the row's tag to the column's; last row: start, last column:
            end. None: zeros, which makes the tags independent.
    """
    scores = np.asarray(scores, "float64")
    if matrix is None:
        matrix = np.zeros((scores.shape[1] + 1,) * 2)
    weights = factors(scores - scores.max(axis=1, keepdims=True))
    pairs = factors(matrix)
    return TagChain(
        weights[0] * pairs[-1, :-1],
        lambda t: pairs[:-1, :-1] * weights[t],
        pairs[:-1, -1],
        len(scores),
    )


def factors(logarithms: np.ndarray) -> np.ndarray:
    """Return exp, bounded below: a text that has to break a rule must not lead to 0 / 0."""
    return np.exp(np.maximum(logarithms, _LOWEST))

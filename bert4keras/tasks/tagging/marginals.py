"""The probability of an entity under a distribution of tag sequences.

A CRF, an MEMM and independent tags are all chains: P(y) is proportional to

    first[y_0] * prod_t step_t[y_t-1, y_t] * last[y_U-1]

An entity is read off many tag sequences, those that differ elsewhere. Its probability is the sum of
theirs. With forward vectors a_t and backward vectors b_t (the sums of all that may stand before and
behind), each divided by its own sum c_t, it is a product over the entity only: from a_s-1 into a
tag of its label that begins it, over steps that continue it, and into what does not, times b.

Source: Culotta and McCallum, Confidence Estimation for Information Extraction, HLT-NAACL 2004.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..._numpy import log_softmax
from .memm import MaximumEntropyMarkovModel
from .schemes import OUTSIDE, split_tag
from .sequence_labelling import SequenceLabelling, to_numpy

LOWEST = -300.0  # of a logarithm: what is not allowed costs this, and no sum becomes 0


@dataclasses.dataclass(frozen=True)
class TagChain:
    """A distribution of the tag sequences of one text, not normalised.

    Attributes:
        first: (C,).
        step: gives for t = 1 .. U-1 the factors (C, C) of the tag before and the tag at t.
        last: (C,).
        length: U, at least 1.
    """

    first: np.ndarray
    step: Callable[[int], np.ndarray]
    last: np.ndarray
    length: int


class EntityMarginals:
    """Probabilities of entities, for a set of tags.

    Args:
        tags: the C tags in the order of their ids.
    """

    def __init__(self, tags: Sequence[str]):
        parts = [split_tag(tag) for tag in tags]
        self.continues = np.array(
            [[_continues(before, after) for after in parts] for before in parts], "float64"
        )
        self.of_label = {
            label: np.array([p != OUTSIDE and name == label for p, name in parts], "float64")
            for label in {name for p, name in parts if p != OUTSIDE}
        }

    def __call__(self, chain: TagChain, entities: Iterable[tuple[int, int, str]]) -> list[float]:
        """The probability of each entity.

        Args:
            chain: the distribution.
            entities: (start, end, label) in positions of the chain.
        """
        entities = list(entities)
        if not entities:
            return []
        end = max(end for _, end, _ in entities)
        forward, norms = _forward(chain, min(end + 1, chain.length))
        backward = _backward(chain, min(start for start, _, _ in entities))
        return [self._one(chain, forward, norms, backward, entity) for entity in entities]

    def _one(self, chain, forward, norms, backward, entity: tuple[int, int, str]) -> float:
        start, end, label = entity
        apart, mine = 1 - self.continues, self.of_label[label]
        if start == 0:
            state = chain.first / norms[0]
        else:
            state = forward[start - 1] @ (chain.step(start) * apart) / norms[start]
        state = state * mine
        for t in range(start + 1, end):
            state = state @ (chain.step(t) * self.continues) / norms[t]
        if end < chain.length:
            state = state @ (chain.step(end) * apart) / norms[end]
        place = min(end, chain.length - 1)
        share = state @ backward[place] / (forward[place] @ backward[place])
        return float(min(max(share, 0.0), 1.0))


def tag_chain(scores: np.ndarray, head: SequenceLabelling | None, matrix: np.ndarray | None):
    """The distribution that a head defines for one text.

    Args:
        scores: (U, C), U at least 1.
        head: a CRF, an MEMM, or None: every tag by itself, by softmax.
        matrix: (C + 1, C + 1), the head's `transition_matrix`, as an array.

    Returns:
        A `TagChain`. Of a bidirectional MEMM, the geometric mean of both directions.
    """
    scores = np.asarray(scores, "float64")
    if head is None:
        matrix = np.zeros((scores.shape[1] + 1,) * 2)
    if not isinstance(head, MaximumEntropyMarkovModel):
        weights = factors(scores - scores.max(axis=1, keepdims=True))
        pairs = factors(matrix)
        return TagChain(
            weights[0] * pairs[-1, :-1],
            lambda t: pairs[:-1, :-1] * weights[t],
            pairs[:-1, -1],
            len(scores),
        )
    pairs, both = matrix[:-1, :-1], head.bidirectional
    last = matrix[:-1, -1]
    if both:
        last = log_softmax(scores[-1] + last, 0) / 2
    first = log_softmax(scores[0] + matrix[-1, :-1], 0) / (1 + both)

    def step(t: int) -> np.ndarray:
        forward = log_softmax(scores[t] + pairs, 1)
        if both:
            forward = (forward + log_softmax(scores[t - 1][:, None] + pairs, 0)) / 2
        return factors(forward)

    return TagChain(factors(first), step, factors(last), len(scores))


def factors(logarithms: np.ndarray) -> np.ndarray:
    """exp, with a lower bound so that what is impossible everywhere leaves no 0 / 0."""
    return np.exp(np.maximum(logarithms, LOWEST))


def head_matrix(head: SequenceLabelling | None) -> np.ndarray | None:
    """The `transition_matrix` of a head as float64; None for no head."""
    return None if head is None else to_numpy(head.transition_matrix()).astype("float64")


def _forward(chain: TagChain, stop: int) -> tuple[list[np.ndarray], list[float]]:
    """Forward vectors of positions [0, stop) and what each was divided by."""
    states, norms = [], []
    for t in range(stop):
        state = states[-1] @ chain.step(t) if t else chain.first
        norm = state.sum()
        states.append(state / norm)
        norms.append(norm)
    return states, norms


def _backward(chain: TagChain, start: int) -> dict[int, np.ndarray]:
    """Backward vectors of positions [start, U), by position."""
    state, states = chain.last / chain.last.sum(), {}
    for t in reversed(range(start, chain.length)):
        if t < chain.length - 1:
            state = chain.step(t + 1) @ state
            state = state / state.sum()
        states[t] = state
    return states


def _continues(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Tell whether `decode_tags` reads the tag `after` as part of the entity before it."""
    return before[0] in "BIM" and after[0] in "IME" and before[1] == after[1]

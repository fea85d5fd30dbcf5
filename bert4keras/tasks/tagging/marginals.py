"""Probability of an entity under a distribution of tag sequences.

Many tag sequences contain a given entity: those that agree on its tags and differ elsewhere. The
probability of the entity is the sum over all of them. For a chain (`TagChain`, factors M_t between
positions t - 1 and t) this sum is the forward-backward sum with some factors set to 0. Let

    a_t    forward vector: sum over the tags of positions 0 .. t - 1, ending in each tag at t
    b_t    backward vector: sum over the tags of positions t + 1 .. U - 1, given each tag at t
    L      0/1 vector of the tags of the entity's label
    K      0/1 matrix of the pairs of tags of which the second continues the entity of the first

For an entity [s, e):

    r_s = (a_s-1 M_s * (1 - K)) * L        a tag of the label that begins an entity
    r_t = r_t-1 (M_t * K)                  for s < t < e: tags that continue it
    r_e = r_e-1 (M_e * (1 - K))            a tag that does not continue it
    P   = (r_e . b_e) / (a_e . b_e)

At s = 0 the first line is `first * L`; at e = U the third is dropped and P is taken at U - 1. Each
a_t is divided by its sum c_t, and so is r_t, so the ratio stays the same and nothing underflows.

Source: Culotta and McCallum, Confidence Estimation for Information Extraction, HLT-NAACL 2004.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .schemes import OUTSIDE, split_tag
from .tag_chain import TagChain


class EntityMarginals:
    """Function that computes the probabilities of entities, for one set of tags.

    Args:
        tags: the C tags, in the order of their ids.
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
        """Return the probability of each entity.

        Args:
            chain: distribution of the tags of one text.
            entities: (start, end, label) in positions of the chain.
        """
        entities = list(entities)
        if not entities:
            return []
        end = max(end for _, end, _ in entities)
        forward, norms = _forward(chain, min(end + 1, chain.length))
        backward = _backward(chain, min(start for start, _, _ in entities))
        return [self._one(chain, forward, norms, backward, entity) for entity in entities]

    def _one(
        self,
        chain: TagChain,
        forward: Sequence[np.ndarray],
        norms: Sequence[float],
        backward: dict[int, np.ndarray],
        entity: tuple[int, int, str],
    ) -> float:
        """Return the P of the module; arguments from `_forward` and `_backward`."""
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


def _forward(chain: TagChain, stop: int) -> tuple[list[np.ndarray], list[float]]:
    """Return the forward vectors of positions [0, stop), and the sum each was divided by."""
    states, norms = [], []
    for t in range(stop):
        state = states[-1] @ chain.step(t) if t else chain.first
        norm = state.sum()
        states.append(state / norm)
        norms.append(norm)
    return states, norms


def _backward(chain: TagChain, start: int) -> dict[int, np.ndarray]:
    """Return the backward vectors of positions [start, U), by position."""
    state, states = chain.last / chain.last.sum(), {}
    for t in reversed(range(start, chain.length)):
        if t < chain.length - 1:
            state = chain.step(t + 1) @ state
            state = state / state.sum()
        states[t] = state
    return states


def _continues(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Return whether `decode_tags` reads the tag `after` as part of the entity before it."""
    return before[0] in "BIM" and after[0] in "IME" and before[1] == after[1]

"""A made-up language of few tokens, and every output that it can have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np

from bert4keras.generation import AutoRegressiveDecoder

TOKENS, STEPS, END = 5, 5, 4


@functools.cache
def probas(history: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Probabilities (TOKENS,) of the next token; each history has its own."""
    logits = np.random.default_rng([seed, *history]).normal(size=TOKENS)
    return np.exp(logits) / np.exp(logits).sum()


def outputs(
    prompt: tuple[int, ...],
    next_probas: Callable = probas,
    *,
    minlen: int = 1,
    maxlen: int = STEPS,
    min_ends: int = 1,
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Every output that is possible after `prompt`, with its log-probability."""

    def extend(output: tuple[int, ...], total: float) -> Iterator:
        over = output[-1:] == (END,) and output.count(END) >= min_ends
        if over or len(output) == maxlen:
            if len(output) >= minlen:
                yield output, total
            return
        for token, p in enumerate(next_probas((*prompt, *output))):
            if p > 0:
                yield from extend((*output, token), total + np.log(p))

    return extend((), 0.0)


def best(prompt: tuple[int, ...], length_penalty: float = 0.0, **options) -> list:
    """All outputs with their scores, best first."""
    found = outputs(prompt, **options)
    scored = [(output, total / len(output) ** length_penalty) for output, total in found]
    return sorted(scored, key=lambda pair: -pair[1])


class Toy(AutoRegressiveDecoder):
    """Decodes that language; its input is the prompt."""

    def __init__(self, start_id=None, end_id=END, maxlen=STEPS, minlen=1, seed=0):
        super().__init__(start_id, end_id, maxlen, minlen)
        self.seed = seed
        self.calls: list[int] = []

    @AutoRegressiveDecoder.wraps(default_rtype="probas")
    def predict(self, inputs, output_ids, states):
        self.calls.append(len(output_ids))
        histories = np.concatenate([inputs[0], output_ids], axis=1)
        return np.array([probas(tuple(map(int, h)), self.seed) for h in histories])


def decoder(predict, start_id=None, end_id=END, maxlen=STEPS, minlen=1, **options):
    """A decoder whose `predict` is the function given."""
    cls = type(
        "Decoder",
        (AutoRegressiveDecoder,),
        {"predict": AutoRegressiveDecoder.wraps(**options)(predict)},
    )
    return cls(start_id, end_id, maxlen, minlen)

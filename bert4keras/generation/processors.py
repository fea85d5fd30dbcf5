"""Logits processors: penalties, bans and forced tokens.

Processors run inside the compiled loop, so they are written in `keras.ops` on arrays of fixed
shape. They are value objects: processors with equal fields share one compiled loop.

Legend: R rows (batch times beams), V vocabulary, S columns.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from keras import ops

from .._scores import lowest
from .._types import Tensor


@dataclasses.dataclass
class History:
    """Tokens of prompts and answers so far.

    Attributes:
        tokens: (R, S) int; columns from `index` on have no meaning yet.
        valid: (R, S) int, 0 at padding.
        index: int scalar, column of the next token.
        step: int scalar, number of new tokens so far.
    """

    tokens: Tensor
    valid: Tensor
    index: Tensor
    step: Tensor

    @property
    def written(self) -> Tensor:
        """Mask of the tokens so far, without padding: (R, S) bool."""
        columns = ops.arange(self.tokens.shape[1], dtype="int32")[None]
        return ops.logical_and(columns < self.index, ops.cast(self.valid, "bool"))

    def counted(self, prompt: bool) -> Tensor:
        """Return `written` with or without the prompt's tokens."""
        if prompt:
            return self.written
        columns = ops.arange(self.tokens.shape[1], dtype="int32")[None]
        return ops.logical_and(self.written, columns >= self.index - self.step)


class Processor:
    """Base class of processors; it changes nothing and has no state."""

    @property
    def per_prompt(self) -> bool:
        """True if it treats the prompts of a batch differently, by their index."""
        return False

    def start(self, rows: int) -> Any:
        """Return the state of the processor before the first new token: a pytree of (R, ...)."""
        return ()

    def __call__(self, scores: Tensor, state: Any, history: History) -> Tensor:
        """Return the changed logits (R, V)."""
        return scores

    def advance(self, state: Any, chosen: Tensor) -> Any:
        """Return the state after the tokens `chosen` (R,)."""
        return state


def mark(token_ids: Tensor, vocab_size: int) -> Tensor:
    """Return which tokens occur in each row: ids (R, K), V or more for none, to bool (R, V)."""
    rows, width = token_ids.shape
    token_ids = ops.minimum(token_ids, vocab_size)
    numbers = ops.broadcast_to(ops.arange(rows, dtype="int32")[:, None], (rows, width))
    places = ops.stack([ops.reshape(numbers, (-1,)), ops.reshape(token_ids, (-1,))], axis=1)
    marks = ops.zeros((rows, vocab_size + 1), "int32")
    marks = ops.scatter_update(marks, places, ops.ones((rows * width,), "int32"))
    return marks[:, :vocab_size] > 0


@dataclasses.dataclass(frozen=True)
class RepetitionPenalty(Processor):
    """Divide positive logits of tokens that have occurred by `penalty`; multiply negative ones.

    Attributes:
        penalty: above 1 discourages repetition.
        prompt: True if the tokens of the prompt count too.

    Source: Keskar et al., CTRL, 2019 (arXiv:1909.05858).
    """

    penalty: float
    prompt: bool = True

    def __post_init__(self):
        if not self.penalty > 0:
            raise ValueError(f"penalty must be positive, not {self.penalty!r}.")

    def __call__(self, scores, state, history):
        vocab_size = scores.shape[1]
        seen = mark(ops.where(history.counted(self.prompt), history.tokens, vocab_size), vocab_size)
        changed = ops.where(scores > 0, scores / self.penalty, scores * self.penalty)
        return ops.where(seen, changed, scores)


@dataclasses.dataclass(frozen=True)
class NoRepeatNGram(Processor):
    """Ban tokens that would repeat a sequence of `size` tokens.

    Attributes:
        size: n.
        prompt: True if the sequences of the prompt count too; with False they may be copied.

    Source: Paulus et al., A Deep Reinforced Model for Abstractive Summarization, 2017
    (arXiv:1705.04304).
    """

    size: int
    prompt: bool = True

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"size must be at least 1, not {self.size!r}.")

    def __call__(self, scores, state, history):
        tokens, n = history.tokens, self.size
        length = tokens.shape[1]
        written = history.counted(self.prompt)
        # match[:, j] is True if the n - 1 tokens before column j are the last n - 1 tokens.
        match = written
        for back in range(1, n):
            column = ops.maximum(history.index - back, 0)
            last = ops.take(tokens, ops.reshape(column, (1,)), axis=1)
            there = ops.take(written, ops.reshape(column, (1,)), axis=1)
            earlier = ops.pad(tokens[:, : length - back], [[0, 0], [back, 0]], constant_values=-1)
            real = ops.pad(ops.cast(written[:, : length - back], "int32"), [[0, 0], [back, 0]])
            same = ops.logical_and(ops.logical_and(earlier == last, real > 0), there)
            match = ops.logical_and(match, same)
        vocab_size = scores.shape[1]
        banned = mark(ops.where(match, tokens, vocab_size), vocab_size)
        return ops.where(banned, lowest(scores.dtype), scores)


@dataclasses.dataclass(frozen=True)
class BannedTokens(Processor):
    """Tokens that are never chosen."""

    token_ids: tuple[int, ...]

    def __post_init__(self):
        object.__setattr__(self, "token_ids", tuple(int(i) for i in self.token_ids))

    def __call__(self, scores, state, history):
        vocab_size = scores.shape[1]
        banned = mark(ops.convert_to_tensor([list(self.token_ids)], "int32"), vocab_size)
        return ops.where(banned, lowest(scores.dtype), scores)


@dataclasses.dataclass(frozen=True)
class MinLength(Processor):
    """Ban `end_id` until there are `length` new tokens."""

    length: int
    end_id: int

    def __call__(self, scores, state, history):
        banned = mark(ops.convert_to_tensor([[self.end_id]], "int32"), scores.shape[1])
        early = history.step < self.length
        return ops.where(ops.logical_and(banned, early), lowest(scores.dtype), scores)


@dataclasses.dataclass(frozen=True)
class ForcedPrefix(Processor):
    """Force the first new tokens, the same for all prompts."""

    token_ids: tuple[int, ...]

    def __post_init__(self):
        object.__setattr__(self, "token_ids", tuple(int(i) for i in self.token_ids))
        if not self.token_ids:
            raise ValueError("ForcedPrefix needs at least one token.")

    def __call__(self, scores, state, history):
        prefix = ops.convert_to_tensor(list(self.token_ids), "int32")
        token = ops.take(prefix, ops.minimum(history.step, len(self.token_ids) - 1), axis=0)
        forced = mark(ops.reshape(token, (1, 1)), scores.shape[1])
        allowed = ops.logical_or(forced, history.step >= len(self.token_ids))
        return ops.where(allowed, scores, lowest(scores.dtype))

"""Strategies that choose the next token: greedy search, sampling, beam search.

A strategy is a frozen value; its running state is a dict of tensors of fixed shape, so that the
whole search compiles. R = B * width rows belong to B prompts.

Legend: B batch, W beams, R rows, V vocabulary, S columns.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from .._compat import FixedSeed
from .._scores import is_masked, lowest
from .._types import Tensor
from .processors import History

_NO_HYPOTHESIS = lowest("float32")  # score of a place in a beam that nothing has filled yet


def _exists(scores: Tensor) -> Tensor:
    """Return where a sum of log-probabilities belongs to a hypothesis without a banned token."""
    return ~is_masked(scores, "float32")


def _log_normalizer(logits: Tensor) -> Tensor:
    """Return the log of the sum of exponentials over the vocabulary: (R, V) to (R, 1)."""
    return ops.logsumexp(logits, axis=-1, keepdims=True)


@dataclasses.dataclass(frozen=True)
class EndToken:
    """The token that ends an answer.

    Attributes:
        token_id: its id; None: only the limit on new tokens ends an answer.
        times: number of these tokens in an answer, such as 2 for an answer of two parts.
    """

    token_id: int | None
    times: int = 1

    def counts(self, chosen: Tensor) -> Tensor:
        """Return 1 for each token that is the end token, else 0."""
        if self.token_id is None:
            return ops.zeros_like(chosen)
        return ops.cast(chosen == self.token_id, "int32")


class Strategy:
    """Base class of the strategies; its own methods treat every row by itself.

    Class attributes:
        can_stream: True if a chosen token is final, so that it can be shown at once.
        n: number of answers per prompt.
    """

    can_stream = True
    n = 1

    @property
    def width(self) -> int:
        """Rows per prompt."""
        return 1

    def start(self, batch: int, length: int, limit: Tensor) -> dict[str, Any]:
        """Return the state before the first new token.

        Args:
            batch: B.
            length: S.
            limit: int scalar, largest number of new tokens.
        """
        rows = batch * self.width
        return {
            "score": ops.zeros((rows,), "float32"),
            "ends": ops.zeros((rows,), "int32"),
            "length": ops.zeros((rows,), "int32"),
            "over": ops.zeros((rows,), "bool"),
        }

    def pick(self, logits: Tensor, state: dict[str, Any], step: Tensor) -> Tensor:
        """Return the next token of each row: logits (R, V) to (R,)."""
        raise NotImplementedError

    def choose(
        self, logits: Tensor, state: dict[str, Any], history: History, ending: EndToken
    ) -> tuple[Tensor, Tensor | None, dict[str, Any]]:
        """Choose tokens.

        Args:
            logits: (R, V), float32, already processed.
            state: from `start` or the last `choose`.
            history: tokens written so far.
            ending: the token that ends a row.

        Returns:
            Tokens (R,); the index of the row that each continues, (R,), or None if each continues
            its own; the new state.
        """
        chosen = ops.cast(self.pick(logits, state, history.step), "int32")
        gained = ops.take_along_axis(logits - _log_normalizer(logits), chosen[:, None], axis=1)
        going = ops.logical_not(state["over"])
        chosen = ops.where(going, chosen, 0)
        ends = state["ends"] + ops.where(going, ending.counts(chosen), 0)
        return (
            chosen,
            None,
            {
                **state,
                "score": state["score"] + ops.where(going, gained[:, 0], 0.0),
                "ends": ends,
                "length": state["length"] + ops.cast(going, "int32"),
                "over": ends >= ending.times,
            },
        )

    def finished(self, state: dict[str, Any], step: Tensor) -> Tensor:
        """Return whether no answer can change any more, bool scalar."""
        return ops.all(state["over"])

    def log_probability(self, score: float, length: int) -> float:
        """Return the sum of log-probabilities of an answer of `length` tokens with this score."""
        return score

    def collect(
        self, state: dict[str, np.ndarray], tokens: np.ndarray, columns: int
    ) -> list[list[tuple[list[int], float]]]:
        """Return the answers to each prompt with their scores, best first.

        Args:
            state: state of the strategy as numpy arrays.
            tokens: (R, S).
            columns: index of the column where answers begin.
        """
        rows = zip(tokens, state["length"], state["score"], strict=True)
        found = [(row[columns : columns + n].tolist(), float(score)) for row, n, score in rows]
        width = self.width
        groups = [found[i : i + width] for i in range(0, len(found), width)]
        return [sorted(group, key=lambda item: -item[1]) for group in groups]


@dataclasses.dataclass(frozen=True)
class Greedy(Strategy):
    """Greedy search: the most probable token at each step."""

    def pick(self, logits, state, step):
        return ops.argmax(logits, axis=-1)


@dataclasses.dataclass(frozen=True)
class Sample(Strategy):
    """Sampling: each token is drawn from the model's distribution.

    Attributes:
        temperature: below 1 sharpens the distribution.
        top_k: draw from this many most probable tokens; None: from all.
        top_p: draw from the fewest most probable tokens whose probabilities sum to at least this.
        seed: seed of the draws; the same seed gives the same answers on the same backend.
        n: number of answers per prompt.

    Source: top-p: Holtzman et al., The Curious Case of Neural Text Degeneration, 2019
    (arXiv:1904.09751).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0
    n: int = 1

    def __post_init__(self):
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, not {self.temperature!r}.")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {self.top_k!r}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], not {self.top_p!r}.")
        if self.n < 1:
            raise ValueError(f"n must be at least 1, not {self.n!r}.")

    @property
    def width(self):
        return self.n

    def start(self, batch, length, limit):
        # Two words per step. SeedSequence makes the draws of neighbouring seeds independent.
        words = np.random.SeedSequence(self.seed).generate_state(2 * length)
        seeds = ops.convert_to_tensor((words >> 1).astype("int32").reshape(length, 2))
        return {**super().start(batch, length, limit), "seeds": seeds}

    def pick(self, logits, state, step):
        import keras

        logits = _keep_top(logits / self.temperature, self.top_k, self.top_p)
        seed = FixedSeed(ops.cast(ops.take(state["seeds"], step, axis=0), "uint32"))
        noise = keras.random.uniform(logits.shape, 1e-20, 1.0, seed=seed)
        return ops.argmax(logits - ops.log(-ops.log(noise)), axis=-1)  # Gumbel-max trick


def _keep_top(logits: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Ban all tokens of logits (R, V) except the most probable ones."""
    vocab_size = logits.shape[1]
    if top_k is not None and top_k < vocab_size:
        least = ops.top_k(logits, top_k)[0][:, -1:]
        logits = ops.where(logits < least, lowest(logits.dtype), logits)
    if top_p is not None and top_p < 1:
        ordered = ops.flip(ops.sort(logits, axis=-1), axis=-1)
        probabilities = ops.softmax(ordered, axis=-1)
        before = ops.cumsum(probabilities, axis=-1) - probabilities
        kept = ops.sum(ops.cast(before < top_p, "int32"), axis=-1, keepdims=True)
        least = ops.take_along_axis(ordered, kept - 1, axis=1)
        logits = ops.where(logits < least, lowest(logits.dtype), logits)
    return logits


@dataclasses.dataclass(frozen=True)
class BeamSearch(Strategy):
    """Beam search: keep the W best beginnings at each step, and finished answers beside them.

    A beam w has the sum of log-probabilities `s[w]`. Its candidates are all next tokens v, with
    `s[w] + log p(v | w)`. One step works on the 2 W best candidates of a prompt:

    - They are among the 2 W best tokens of each beam, so only these are compared.
    - One token ends an answer, so each beam has at most one candidate that ends, and all of them
      at most W. At least W of the 2 W candidates go on: the beams of the next step.
    - A candidate that ends is a finished answer, but only the W best candidates may finish. So
      beam size 1 equals greedy search: otherwise an end token in second place would finish an
      answer that greedy search does not give.
    - Finished answers are compared by `s / length ** p`, with p the `length_penalty` and the end
      token counted. The n best are kept.

    The search stops early by a bound. A sum s is negative and only falls with every token, so with
    p > 0 no answer from this beam scores above `s / limit ** p`, where limit is the largest
    length. With p <= 0 the present length gives the bound. If the bound of the best beam is not
    above the worst of the n kept answers, nothing can change any more.

    Attributes:
        beams: beam size, W.
        length_penalty: p; 0 compares sums of log-probabilities, 1 their means per token.
        n: number of answers per prompt.
    """

    can_stream = False
    beams: int = 4
    length_penalty: float = 1.0
    n: int = 1

    def __post_init__(self):
        if self.beams < 1 or self.n < 1:
            raise ValueError(f"beams and n must be at least 1, not {self.beams} and {self.n}.")

    @property
    def width(self):
        return self.beams

    def start(self, batch, length, limit):
        alone = np.full((batch, self.beams), _NO_HYPOTHESIS, "float32")
        alone[:, 0] = 0.0  # all beams are equal at first, so only one of them may be continued
        return {
            "score": ops.convert_to_tensor(alone),
            "ends": ops.zeros((batch * self.beams,), "int32"),
            "best": ops.full((batch, self.n), _NO_HYPOTHESIS, "float32"),
            "best_tokens": ops.zeros((batch, self.n, length), "int32"),
            "best_length": ops.zeros((batch, self.n), "int32"),
            "limit": ops.cast(limit, "int32"),
        }

    def normalized(self, score: Tensor, length: Tensor) -> Tensor:
        """Turn sums of log-probabilities into scores of answers of `length` tokens."""
        return score / ops.power(ops.cast(length, "float32"), self.length_penalty)

    def log_probability(self, score, length):
        return score * length**self.length_penalty

    def choose(self, logits, state, history, ending):
        rows, vocab_size = logits.shape
        beams, batch = self.beams, rows // self.beams
        # The 2 W best tokens of each beam contain the 2 W best candidates of all beams.
        width = min(2 * beams, vocab_size)  # candidates of a beam
        values, tokens = ops.top_k(logits, width)
        values = ops.reshape(values - _log_normalizer(logits), (batch, beams, width))
        values = ops.reshape(values + state["score"][:, :, None], (batch, beams * width))
        values, places = ops.top_k(values, min(2 * beams, beams * width))
        tokens = ops.reshape(ops.cast(tokens, "int32"), (batch, -1))
        tokens = ops.take_along_axis(tokens, places, axis=1)
        first = ops.arange(batch, dtype="int32")[:, None] * beams
        parents = ops.cast(places, "int32") // width + first
        ends = ops.take(state["ends"], parents, axis=0) + ending.counts(tokens)
        over = ends >= ending.times
        state = self._keep(state, history, values, tokens, parents, over)
        # The W best of those that go on. There are always W, since at most W end.
        going = ops.where(over, _NO_HYPOTHESIS, values)
        score, places = ops.top_k(going, beams)
        pick = lambda x: ops.take_along_axis(x, places, axis=1)  # noqa: E731
        flat = lambda x: ops.reshape(pick(x), (rows,))  # noqa: E731
        state = {**state, "score": score, "ends": flat(ends)}
        return flat(tokens), flat(parents), state

    def _keep(self, state, history, values, tokens, parents, over):
        """Return the state with the n best of the kept answers and of those that end now."""
        batch, few = tokens.shape
        length = history.step + 1
        # Only the W best candidates may finish, so beam size 1 equals greedy search.
        alive = ops.logical_and(over, _exists(values))
        alive = ops.logical_and(alive, ops.arange(few) < self.beams)
        new = ops.where(alive, self.normalized(values, length), _NO_HYPOTHESIS)
        best, places = ops.top_k(ops.concatenate([state["best"], new], axis=1), self.n)
        written = ops.take(history.tokens, ops.reshape(parents, (-1,)), axis=0)
        column = ops.arange(written.shape[1], dtype="int32")[None] == history.index
        written = ops.where(column, ops.reshape(tokens, (-1, 1)), written)
        written = ops.reshape(written, (batch, few, -1))
        lengths = ops.broadcast_to(ops.cast(length, "int32"), (batch, few))
        all_tokens = ops.concatenate([state["best_tokens"], written], axis=1)
        all_lengths = ops.concatenate([state["best_length"], lengths], axis=1)
        return {
            **state,
            "best": best,
            "best_tokens": ops.take_along_axis(all_tokens, places[:, :, None], axis=1),
            "best_length": ops.take_along_axis(all_lengths, places, axis=1),
        }

    def finished(self, state, step):
        # The bound of the class docstring: with p > 0 the largest length gives it.
        longest = state["limit"] if self.length_penalty > 0 else ops.maximum(step, 1)
        most = ops.max(state["score"], axis=1)
        hope = ops.where(_exists(most), self.normalized(most, longest), _NO_HYPOTHESIS)
        return ops.all(hope <= ops.min(state["best"], axis=1))

    def collect(self, state, tokens, columns):
        limit = int(state["limit"])
        batch = len(state["score"])
        going = np.asarray(tokens).reshape(batch, self.beams, -1)
        found = []
        for b in range(batch):
            group = [
                (row[columns : columns + n].tolist(), float(score))
                for row, n, score in zip(
                    state["best_tokens"][b], state["best_length"][b], state["best"][b], strict=True
                )
                if _exists(score)
            ]
            # An answer that the limit cut off is an answer too.
            group += [
                (row[columns : columns + limit].tolist(), float(score) / limit**self.length_penalty)
                for row, score in zip(going[b], state["score"][b], strict=True)
                if _exists(score) and not state["stopped"]
            ]
            found.append(sorted(group, key=lambda item: -item[1])[: self.n])
        return found

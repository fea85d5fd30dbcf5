"""How the next token is chosen: greedily, by sampling, or by beam search.

A strategy is a frozen value; its running state is a dict of tensors of fixed shape, so that the
whole search compiles. R = B * width rows belong to B prompts.

Legend: B batch, W beams, K hypotheses kept, R rows, V vocabulary, S columns.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from .._compat import DrawnSeed
from .._scores import is_masked, lowest
from .processors import History

_NO_HYPOTHESIS = lowest("float32")  # score of a place in a beam that nothing has filled yet


def _exists(scores: Any) -> Any:
    """Return where a sum of log-probabilities belongs to a hypothesis without a banned token."""
    return ~is_masked(scores, "float32")


def _log_normalizer(logits: Any) -> Any:
    """Log of the sum of exponentials over the vocabulary: (R, V) to (R, 1)."""
    return ops.logsumexp(logits, axis=-1, keepdims=True)


@dataclasses.dataclass(frozen=True)
class EndToken:
    """When an answer is over.

    Attributes:
        token_id: the token that ends; None: only the limit does.
        times: after how many of them (2 for an answer of two parts).
    """

    token_id: int | None
    times: int = 1

    def counts(self, chosen: Any) -> Any:
        """1 where a token is the end, else 0."""
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

    def start(self, batch: int, length: int, limit: Any) -> dict[str, Any]:
        """The state at the beginning.

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

    def pick(self, logits: Any, state: dict[str, Any], step: Any) -> Any:
        """The next token of each row: (R, V) to (R,)."""
        raise NotImplementedError

    def choose(
        self, logits: Any, state: dict[str, Any], history: History, ending: EndToken
    ) -> tuple[Any, Any, dict[str, Any]]:
        """Choose tokens.

        Args:
            logits: (R, V), float32, already processed.
            state: from `start` or the last `choose`.
            history: what was written.
            ending: when a row is over.

        Returns:
            Tokens (R,); the rows that they continue, (R,) or None for each its own; the state.
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

    def finished(self, state: dict[str, Any], step: Any) -> Any:
        """Whether nothing can change any more, bool scalar."""
        return ops.all(state["over"])

    def log_probability(self, score: float, length: int) -> float:
        """Return the sum of log-probabilities of an answer of `length` tokens with this score."""
        return score

    def collect(
        self, state: dict[str, np.ndarray], tokens: np.ndarray, columns: int
    ) -> list[list[tuple[list[int], float]]]:
        """The answers of each prompt with their scores, the best first.

        Args:
            state: as arrays.
            tokens: (R, S).
            columns: where answers begin.
        """
        rows = zip(tokens, state["length"], state["score"], strict=True)
        found = [(row[columns : columns + n].tolist(), float(score)) for row, n, score in rows]
        width = self.width
        groups = [found[i : i + width] for i in range(0, len(found), width)]
        return [sorted(group, key=lambda item: -item[1]) for group in groups]


@dataclasses.dataclass(frozen=True)
class Greedy(Strategy):
    """The most probable token each time."""

    def pick(self, logits, state, step):
        return ops.argmax(logits, axis=-1)


@dataclasses.dataclass(frozen=True)
class Sample(Strategy):
    """A token drawn by its probability.

    Attributes:
        temperature: below 1 sharpens the distribution.
        top_k: draw from so many most probable tokens; None: from all.
        top_p: draw from the fewest most probable tokens that together have this probability.
        seed: of the draws; the same seed gives the same answers on the same backend.
        n: how many answers per prompt.

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
        # Two words per step, from a generator in which neighbouring seeds have nothing in common.
        words = np.random.SeedSequence(self.seed).generate_state(2 * length)
        seeds = ops.convert_to_tensor((words >> 1).astype("int32").reshape(length, 2))
        return {**super().start(batch, length, limit), "seeds": seeds}

    def pick(self, logits, state, step):
        import keras

        logits = _keep_top(logits / self.temperature, self.top_k, self.top_p)
        seed = DrawnSeed(ops.cast(ops.take(state["seeds"], step, axis=0), "uint32"))
        noise = keras.random.uniform(logits.shape, 1e-20, 1.0, seed=seed)
        return ops.argmax(logits - ops.log(-ops.log(noise)), axis=-1)  # Gumbel's trick


def _keep_top(logits: Any, top_k: int | None, top_p: float | None) -> Any:
    """Logits (R, V) with all but the most probable tokens banned."""
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
    """The `beams` most probable beginnings each time; what has ended is kept aside.

    The score of a hypothesis is the sum of its log-probabilities over `length ** length_penalty`,
    its end token counted. The search stops when nothing still going can enter the best `n`.

    Attributes:
        beams: W.
        length_penalty: 0 compares sums; 1, means per token.
        n: how many answers per prompt.
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
        alone[:, 0] = 0.0  # all beams begin equal: only one of them may be continued
        return {
            "score": ops.convert_to_tensor(alone),
            "ends": ops.zeros((batch * self.beams,), "int32"),
            "best": ops.full((batch, self.n), _NO_HYPOTHESIS, "float32"),
            "best_tokens": ops.zeros((batch, self.n, length), "int32"),
            "best_length": ops.zeros((batch, self.n), "int32"),
            "limit": ops.cast(limit, "int32"),
        }

    def normalized(self, score: Any, length: Any) -> Any:
        """Sums of log-probabilities as scores of hypotheses of `length` tokens."""
        return score / ops.power(ops.cast(length, "float32"), self.length_penalty)

    def log_probability(self, score, length):
        return score * length**self.length_penalty

    def choose(self, logits, state, history, ending):
        rows, vocab_size = logits.shape
        beams, batch = self.beams, rows // self.beams
        # The 2 W best continuations of each beam hold the 2 W best of all.
        few = min(2 * beams, vocab_size)
        values, tokens = ops.top_k(logits, few)
        values = ops.reshape(values - _log_normalizer(logits), (batch, beams, few))
        values = ops.reshape(values + state["score"][:, :, None], (batch, beams * few))
        few = min(2 * beams, beams * few)
        values, places = ops.top_k(values, few)
        tokens = ops.reshape(ops.cast(tokens, "int32"), (batch, -1))
        tokens = ops.take_along_axis(tokens, places, axis=1)
        first = ops.arange(batch, dtype="int32")[:, None] * beams
        parents = ops.cast(places, "int32") // (_logits_few(beams, vocab_size)) + first
        ends = ops.take(state["ends"], parents, axis=0) + ending.counts(tokens)
        over = ends >= ending.times
        state = self._keep(state, history, values, tokens, parents, over)
        # The W best of those that go on; there always are as many, since W ends at most.
        going = ops.where(over, _NO_HYPOTHESIS, values)
        score, places = ops.top_k(going, beams)
        pick = lambda x: ops.take_along_axis(x, places, axis=1)  # noqa: E731
        flat = lambda x: ops.reshape(pick(x), (rows,))  # noqa: E731
        state = {**state, "score": score, "ends": flat(ends)}
        return flat(tokens), flat(parents), state

    def _keep(self, state, history, values, tokens, parents, over):
        """The best hypotheses among those kept and those that end now."""
        batch, few = tokens.shape
        length = history.step + 1
        # What is not among the W best has lost, ended or not: so one beam is greedy.
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
        # Scores are negative: with a penalty above 0 they can only look better when longer.
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
            # What the limit cut off is a hypothesis too.
            group += [
                (row[columns : columns + limit].tolist(), float(score) / limit**self.length_penalty)
                for row, score in zip(going[b], state["score"][b], strict=True)
                if _exists(score) and not state["stopped"]
            ]
            found.append(sorted(group, key=lambda item: -item[1])[: self.n])
        return found


def _logits_few(beams: int, vocab_size: int) -> int:
    """How many continuations of each beam take part."""
    return min(2 * beams, vocab_size)

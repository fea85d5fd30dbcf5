"""Beam search and sampling over a `predict` method that the user writes.

`generate` is faster for a model of this package. This decoder calls a Python method for every next
token, so the scores may come from anywhere: several models, a server, a table with some tokens
forbidden.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from ..data import sequence_padding
from .hypotheses import (
    Beams,
    Rows,
    StoppingCriteria,
    group_samples,
    nothing_possible,
    reorder,
    sample_tokens,
)
from .last_token import LastTokenModel

_RTYPES = ("probas", "logits")


class AutoRegressiveDecoder:
    """Decoder whose subclass gives the probabilities of each next token.

    Args:
        start_id: token that every output begins with; None: outputs begin empty.
        end_id: token that ends an output; None: only `maxlen` ends it.
        maxlen: largest number of tokens to generate, the end token included, `start_id` not.
        minlen: smallest number of tokens to generate, counted in the same way; an end token that
            would end an output earlier is never chosen.

    Example:
        >>> class Title(AutoRegressiveDecoder):
        ...     @AutoRegressiveDecoder.wraps(default_rtype="probas")
        ...     def predict(self, inputs, output_ids, states):
        ...         token_ids, segment_ids = inputs
        ...         token_ids = np.concatenate([token_ids, output_ids], 1)
        ...         segment_ids = np.concatenate([segment_ids, np.ones_like(output_ids)], 1)
        ...         return self.last_token(model).predict([token_ids, segment_ids])
        >>> title = Title(start_id=None, end_id=tokenizer._token_end_id, maxlen=32)
        >>> title.beam_search(tokenizer.encode(text), topk=4)
        >>> title.beam_search_batch([tokenizer.encode(text) for text in texts], topk=4)

    The same `predict` serves a batch: samples whose inputs have the same shapes share a call. With
    `wraps(..., ragged=True)` all samples share it, and inputs arrive as lists of rows:

        >>> token_ids, lengths = self.join(inputs[0], output_ids)
        >>> segment_ids, _ = self.join(inputs[1], np.ones_like(output_ids))
        >>> return self.last_token(model).predict([token_ids, segment_ids], lengths)
    """

    def __init__(self, start_id: int | None, end_id: int | None, maxlen: int, minlen: int = 1):
        self.start_id = start_id
        self.end_id = end_id
        self.maxlen = maxlen
        self.minlen = minlen
        self.models: dict[Any, LastTokenModel] = {}
        # First tokens of every output, (1, t); a subclass may set more than one.
        self.first_output_ids = np.array([[] if start_id is None else [start_id]], dtype=int)

    @staticmethod
    def wraps(
        default_rtype: str = "probas", use_states: bool = False, ragged: bool = False
    ) -> Callable:
        """Decorate `predict` and declare what it returns.

        Args:
            default_rtype: `"probas"` or `"logits"` (not normalised), of shape (rows, V).
            use_states: `predict` returns a pair of scores and new states.
            ragged: inputs are lists of rows, which may differ in shape, instead of arrays.

        Returns:
            A decorator. The decorated method also takes `temperature` and `rtype`, `"probas"` or
            `"logits"` (log-probabilities), and always returns a pair of scores and states.
        """
        if default_rtype not in _RTYPES:
            raise ValueError(f"default_rtype must be one of {_RTYPES}, not {default_rtype!r}.")

        def decorator(predict: Callable) -> Callable:
            @functools.wraps(predict)
            def scored(self, inputs, output_ids, states, temperature=1, rtype=default_rtype):
                if rtype not in _RTYPES:
                    raise ValueError(f"rtype must be one of {_RTYPES}, not {rtype!r}.")
                result = predict(self, inputs, output_ids, states)
                scores, states = _pair(result, use_states)
                logs = _log_probabilities(scores, default_rtype, temperature)
                return (np.exp(logs) if rtype == "probas" else logs), states

            scored.ragged = ragged
            return scored

        return decorator

    def predict(self, inputs: list, output_ids: np.ndarray, states: Any) -> Any:
        """Return scores of the next token; the user writes this method, under `wraps`.

        Args:
            inputs: arrays (rows, ...), one for each input; they keep changes made in place. With
                `ragged`, a list of `rows` arrays for each input.
            output_ids: int (rows, t), the outputs so far; they begin with `start_id`.
            states: states of the last call, or those given to the search. Arrays and tensors with
                one row for each row of `output_ids`, also inside lists, tuples and dicts, have
                been reordered to the new rows; other values are unchanged.

        Returns:
            Array or tensor (rows, V), or a pair of it and the new states.
        """
        raise NotImplementedError(f"{type(self).__name__} must define predict.")

    def last_token(self, model: keras.Model) -> LastTokenModel:
        """Return the model with its outputs at the last token of each row only; it is built once.

        `last_token(model).predict(inputs)` takes the last column; `.predict(inputs, lengths)` takes
        the last token of rows with `lengths` (rows,) tokens before their padding.
        """
        if model not in self.models:
            self.models[model] = LastTokenModel(model)
        return self.models[model]

    @staticmethod
    def join(
        prompts: Sequence, output_ids: np.ndarray, padding: int = 0, multiple_of: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Append to each prompt its output, without a gap, and pad at the end.

        Args:
            prompts: rows of one input, of any lengths.
            output_ids: (rows, t), appended to the prompts.
            padding: value after the shorter rows.
            multiple_of: round the length up to a multiple, so that fewer shapes are compiled.

        Returns:
            Array (rows, T), and the lengths (rows,) of its rows without padding.
        """
        rows = [np.concatenate(pair) for pair in zip(prompts, output_ids, strict=True)]
        lengths = np.array([len(row) for row in rows])
        return sequence_padding(rows, value=padding, multiple_of=multiple_of), lengths

    def beam_search(
        self,
        inputs_raw: Sequence,
        topk: int,
        states: Any = None,
        temperature: float = 1,
        min_ends: int = 1,
        *,
        length_penalty: float = 0.0,
        n_best: int | None = None,
        return_scores: bool = False,
    ) -> Any:
        """Find the most probable output for one sample.

        Args:
            inputs_raw: the inputs of the sample, without a batch axis.
            topk, states, temperature, min_ends, length_penalty, n_best, return_scores: as for
                `beam_search_batch`.

        Returns:
            int array (t,), with `start_id` and end token; `n_best` and `return_scores` change it.
        """
        how = {"length_penalty": length_penalty, "n_best": n_best, "return_scores": return_scores}
        return self.beam_search_batch([inputs_raw], topk, states, temperature, min_ends, **how)[0]

    def beam_search_batch(
        self,
        batch: Sequence[Sequence],
        topk: int,
        states: Any = None,
        temperature: float = 1,
        min_ends: int = 1,
        *,
        length_penalty: float = 0.0,
        n_best: int | None = None,
        return_scores: bool = False,
    ) -> list:
        """Find the most probable outputs for several samples, whose inputs may differ in length.

        A finished output is kept and competes with the `topk` outputs that still grow. The search
        of a sample is over when no growing output can become better than the kept ones.

        Args:
            batch: for each sample the inputs that `beam_search` takes.
            topk: beam size, the number of growing outputs; 1 equals greedy search.
            states: for the first `predict`; arrays with a row for each sample are divided.
            temperature: divides the logits.
            min_ends: number of end tokens that end an output (2: a question and an answer).
            length_penalty: outputs are ranked by their log-probability divided by the number of
                generated tokens to this power; 0 ranks by the sum, 1 by the mean.
            n_best: return a list of up to this many outputs, best first.
            return_scores: return pairs of an output and its score.

        Returns:
            An int array (t,) for each sample; `n_best` and `return_scores` change it.

        Raises:
            ValueError: an option is out of range, scores have a wrong shape or NaN, or no next
                token is possible.
        """
        _check_counts(topk=topk, n_best=n_best)
        if n_best is not None and n_best > topk:
            raise ValueError(f"n_best={n_best} outputs need a topk of at least that, not {topk}.")
        ending, first = self._ending(min_ends), self.first_output_ids.shape[1]
        beams = Beams(topk, n_best or 1, ending, length_penalty, first)
        for rows in self._open(batch, states):
            while len(rows):
                scores, states = self._next(rows, temperature, ending, "logits")
                parents, tokens, scores = beams.choose(rows, scores)
                rows = rows.grow(parents, tokens, scores, states, ending.is_end(tokens))
        found = [beams.finished[sample] for sample in range(len(batch))]
        if not return_scores:
            found = [[ids for ids, _ in hypotheses] for hypotheses in found]
        return [hypotheses[0] for hypotheses in found] if n_best is None else found

    def random_sample(
        self,
        inputs_raw: Sequence,
        n: int,
        topk: int | None = None,
        topp: float | None = None,
        states: Any = None,
        temperature: float = 1,
        min_ends: int = 1,
        *,
        seed: int | None = None,
    ) -> list:
        """Draw `n` outputs for one sample; arguments and results as in `random_sample_batch`."""
        batch = [inputs_raw]
        return self.random_sample_batch(
            batch, n, topk, topp, states, temperature, min_ends, seed=seed
        )[0]

    def random_sample_batch(
        self,
        batch: Sequence[Sequence],
        n: int,
        topk: int | None = None,
        topp: float | None = None,
        states: Any = None,
        temperature: float = 1,
        min_ends: int = 1,
        *,
        seed: int | None = None,
    ) -> list[list[np.ndarray]]:
        """Draw outputs at random for several samples, whose inputs may differ in length.

        Args:
            batch, states, temperature, min_ends: as in `beam_search_batch`.
            n: number of outputs for each sample.
            topk: draw from the `topk` most probable tokens.
            topp: draw from the fewest most probable tokens that have at least this probability in
                total (nucleus sampling, Holtzman et al., arXiv:1904.09751), after `topk`; 1 or more
                means all of them.
            seed: seed of the draws; None: drawn from numpy's global state. The draws for a sample
                depend on its index in the batch, not on the other samples.

        Returns:
            For each sample a list of `n` int arrays (t,).

        Raises:
            ValueError: as `beam_search_batch`.
        """
        _check_counts(n=n, topk=topk)
        if topp is not None and not topp > 0:
            raise ValueError(f"topp={topp} must be above 0.")
        seed = int(np.random.randint(2**31)) if seed is None else seed
        seeds = np.random.SeedSequence(seed).spawn(len(batch))
        generators = [np.random.default_rng(s) for s in seeds]
        ending = self._ending(min_ends)
        results: list[list] = [[None] * n for _ in batch]
        for rows in self._open(batch, states):
            # The first call has one row per sample, whose scores serve all n outputs.
            parents, copies = np.repeat(np.arange(len(rows)), n), np.tile(np.arange(n), len(rows))
            while len(rows):
                probas, states = self._next(rows, temperature, ending, "probas")
                owners = rows.owner[parents]
                uniform = {sample: generators[sample].random(n) for sample in np.unique(owners)}
                uniform = np.array([uniform[s][c] for s, c in zip(owners, copies, strict=True)])
                tokens = sample_tokens(probas[parents], uniform, topk, topp)
                over = ending.is_over(rows, parents, tokens)
                for i in np.flatnonzero(over):
                    ids = np.append(rows.output_ids[parents[i]], tokens[i])
                    results[owners[i]][copies[i]] = ids
                parents, tokens, copies = parents[~over], tokens[~over], copies[~over]
                is_end, scores = ending.is_end(tokens), np.zeros(len(tokens))
                rows = rows.grow(parents, tokens, scores, states, is_end)
                parents = np.arange(len(rows))
        return results

    def _ending(self, min_ends: int) -> StoppingCriteria:
        _check_counts(maxlen=self.maxlen, min_ends=min_ends)
        if self.minlen > self.maxlen:
            raise ValueError(f"minlen={self.minlen} is above maxlen={self.maxlen}.")
        first = self.first_output_ids.shape[1]
        return StoppingCriteria(self.end_id, first + self.minlen, first + self.maxlen, min_ends)

    def _open(self, batch: Sequence[Sequence], states: Any) -> Iterator[Rows]:
        """Yield one row for each sample, grouped by the calls of `predict` that can take them."""
        ragged = getattr(self.predict, "ragged", None)
        if ragged is None:
            raise ValueError(
                f"predict of {type(self).__name__} is not decorated: put "
                "@AutoRegressiveDecoder.wraps(default_rtype='probas') or 'logits' above it."
            )
        for places, inputs in group_samples(batch, ragged):
            yield Rows(
                inputs=inputs,
                output_ids=np.repeat(self.first_output_ids, len(places), axis=0),
                states=reorder(states, places, len(batch)),
                owner=places,
                ends=np.zeros(len(places), int),
                scores=np.zeros(len(places)),
            )

    def _next(
        self, rows: Rows, temperature: float, ending: StoppingCriteria, rtype: str
    ) -> tuple[np.ndarray, Any]:
        """Return checked scores (R, V), with end tokens before `minlen` excluded, and states."""
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} must be above 0.")
        step = rows.output_ids.shape[1] - self.first_output_ids.shape[1]
        scores, states = self.predict(
            list(rows.inputs), rows.output_ids, rows.states, temperature, rtype
        )
        if scores.ndim != 2 or len(scores) != len(rows):
            raise ValueError(
                f"predict gave an array of shape {scores.shape} at step {step}; with {len(rows)} "
                "rows it must be (rows, vocabulary), the scores of the next token only."
            )
        if np.isnan(scores).any():
            raise ValueError(f"predict gave NaN, or negative probabilities, at step {step}.")
        if self.end_id is not None and not 0 <= self.end_id < scores.shape[1]:
            raise ValueError(
                f"end_id={self.end_id} is outside the {scores.shape[1]} scores of predict."
            )
        early = ending.too_early(rows)
        if early.any():
            scores[early, self.end_id] = 0 if rtype == "probas" else -np.inf
        if rtype == "probas" and not scores.any(axis=1).all():
            raise nothing_possible(step)
        return scores, states


def _check_counts(**values: int | None) -> None:
    for name, value in values.items():
        if value is not None and value < 1:
            raise ValueError(f"{name}={value} must be at least 1.")


def _pair(result: Any, use_states: bool) -> tuple[Any, Any]:
    """Return scores and states from the result of a user's `predict`."""
    if not use_states:
        if isinstance(result, tuple):
            raise ValueError(
                "predict returned a tuple: with states, decorate it with wraps(use_states=True)."
            )
        return result, None
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise ValueError("with use_states=True, predict must return a pair: scores, states.")
    return result


def _log_probabilities(scores: Any, rtype: str, temperature: float) -> np.ndarray:
    """Return log-probabilities (R, V), float64; given probabilities are not normalised."""
    if keras.ops.is_tensor(scores):
        scores = keras.ops.convert_to_numpy(scores)
    scores = np.asarray(scores).astype("float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = scores if rtype == "logits" else np.log(scores)
        if rtype == "probas" and temperature == 1:
            return logs
        logs = logs / temperature
        peak = logs.max(axis=-1, keepdims=True)
        logs = logs - np.where(peak == -np.inf, 0, peak)  # a row of -inf stays -inf
        total = np.log(np.exp(logs).sum(axis=-1, keepdims=True))
        return logs - np.where(peak == -np.inf, 0, total)

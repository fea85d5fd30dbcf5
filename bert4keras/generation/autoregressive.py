"""Beam search and sampling over a `predict` that the user writes.

`generate` is the quick way for one model of this package. This one asks for every next token
through a Python method, so the scores may come from anywhere: several models, a server, a table,
with whatever is forbidden set to zero.
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
from .last_token import LastToken

_RTYPES = ("probas", "logits")


class AutoRegressiveDecoder:
    """Decodes token by token; a subclass says how probable each next token is.

    Args:
        start_id: token that every output begins with; None: outputs begin empty.
        end_id: token that ends an output; None: only `maxlen` ends it.
        maxlen: most tokens to generate, the end token included, `start_id` not.
        minlen: fewest tokens to generate, counted alike; the end token that would end an output
            earlier is never chosen.

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

    A batch needs no other `predict`: samples whose inputs have the same shapes share a call. With
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
        self.models: dict[Any, LastToken] = {}
        # What every output begins with, (1, t); a subclass may begin with more than one token.
        self.first_output_ids = np.array([[] if start_id is None else [start_id]], dtype=int)

    @staticmethod
    def wraps(
        default_rtype: str = "probas", use_states: bool = False, ragged: bool = False
    ) -> Callable:
        """Decorator of `predict`, which says what that returns.

        Args:
            default_rtype: `"probas"` or `"logits"` (not normalised), of shape (rows, V).
            use_states: `predict` returns a pair of them and the new states.
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
        """Scores of the next token; to be written by the user, under `wraps`.

        Args:
            inputs: arrays (rows, ...), one for each input; what is written into them stays. With
                `ragged`, a list of `rows` arrays for each input.
            output_ids: int (rows, t), the outputs so far; they begin with `start_id`.
            states: what the last call returned, or what the search was given. Arrays and tensors
                with a row for each row of `output_ids`, also within lists, tuples and dicts, have
                been put in the order of the new rows; anything else is as it was.

        Returns:
            Array or tensor (rows, V), or a pair of it and the new states.
        """
        raise NotImplementedError(f"{type(self).__name__} must define predict.")

    def last_token(self, model: keras.Model) -> LastToken:
        """The model cut down to its output at the last token of every row, made once.

        `last_token(model).predict(inputs)` takes the last column; `.predict(inputs, lengths)` the
        last token of rows that are padded behind `lengths` (rows,) tokens.
        """
        if model not in self.models:
            self.models[model] = LastToken(model)
        return self.models[model]

    @staticmethod
    def join(
        prompts: Sequence, output_ids: np.ndarray, padding: int = 0, multiple_of: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Append to each prompt its output, with no gap, and pad at the end.

        Args:
            prompts: rows of one input, of any lengths.
            output_ids: (rows, t), what is appended.
            padding: value behind the shorter rows.
            multiple_of: round the length up to a multiple of this: fewer shapes to compile.

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
        """The most probable output for one sample.

        Args:
            inputs_raw: the inputs of the sample, without a batch axis.
            topk, states, temperature, min_ends, length_penalty, n_best, return_scores: as for
                `beam_search_batch`.

        Returns:
            int array (t,), with `start_id` and the end token; as `n_best` and `return_scores` say.
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
        """The most probable outputs for several samples, whose inputs may differ in length.

        An output that ended is kept and competes with those that still grow, of which there are
        always `topk`. A sample's search is over when nothing that grows can overtake.

        Args:
            batch: for each sample what `beam_search` takes.
            topk: outputs that grow at a time, the beam size; 1 is greedy.
            states: for the first `predict`; arrays with a row for each sample are shared out.
            temperature: divides the logits.
            min_ends: end tokens that end an output (2: a question and an answer, each with one).
            length_penalty: outputs are ranked by their log-probability divided by the number of
                generated tokens to this power; 0 ranks by the sum, 1 by the mean.
            n_best: give a list of this many outputs, best first, or of fewer if there are no more.
            return_scores: give pairs of an output and its score.

        Returns:
            A list with an int array (t,) for each sample, or as the last two say.

        Raises:
            ValueError: an option out of range; scores of a wrong shape, or with NaN; no next token
                left that is possible.
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
        """Draw `n` outputs for one sample; arguments and results as of `random_sample_batch`."""
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
            batch, states, temperature, min_ends: as for `beam_search_batch`.
            n: outputs for each sample.
            topk: draw from the `topk` most probable tokens.
            topp: draw from the fewest most probable tokens that have at least this probability in
                total (nucleus sampling, Holtzman et al., arXiv:1904.09751), after `topk`.
            seed: gives the same outputs every time; by default numpy's global state decides. What
                is drawn for a sample depends on its place in the batch, not on the other samples.

        Returns:
            For each sample a list of `n` int arrays (t,).

        Raises:
            ValueError: as `beam_search_batch`.
        """
        _check_counts(n=n, topk=topk)
        if topp is not None and not 0 < topp <= 1:
            raise ValueError(f"topp={topp} must be above 0 and at most 1.")
        seed = int(np.random.randint(2**31)) if seed is None else seed
        seeds = np.random.SeedSequence(seed).spawn(len(batch))
        generators = [np.random.default_rng(s) for s in seeds]
        ending = self._ending(min_ends)
        results: list[list] = [[None] * n for _ in batch]
        for rows in self._open(batch, states):
            # The first call has a row for each sample, and what it says holds for all n of them.
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
        """A row for each sample; those that one call of `predict` can take come together."""
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
        """Checked scores (R, V) of the next tokens, without ends that come too early; states."""
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} must be above 0.")
        step = rows.output_ids.shape[1] - self.first_output_ids.shape[1]
        scores, states = self.predict(
            list(rows.inputs), rows.output_ids, rows.states, temperature, rtype
        )
        if scores.ndim != 2 or len(scores) != len(rows):
            raise ValueError(
                f"predict gave an array of shape {scores.shape} at step {step}; with {len(rows)} "
                "rows it has to be (rows, vocabulary), the scores of the next token alone."
            )
        if np.isnan(scores).any():
            raise ValueError(f"predict gave NaN, or negative probabilities, at step {step}.")
        if self.end_id is not None and not 0 <= self.end_id < scores.shape[1]:
            raise ValueError(f"end_id={self.end_id} is none of the {scores.shape[1]} scores.")
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
    """Scores and states, out of what a user's `predict` returned."""
    if not use_states:
        if isinstance(result, tuple):
            raise ValueError(
                "predict returned a tuple: with states, decorate it with wraps(use_states=True)."
            )
        return result, None
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise ValueError("with use_states=True, predict has to return a pair: scores, states.")
    return result


def _log_probabilities(scores: Any, rtype: str, temperature: float) -> np.ndarray:
    """Logarithms, normalised unless they are of probabilities as given: (R, V), float64."""
    if keras.ops.is_tensor(scores):
        scores = keras.ops.convert_to_numpy(scores)
    scores = np.asarray(scores).astype("float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = scores if rtype == "logits" else np.log(scores)
        if rtype == "probas" and temperature == 1:
            return logs
        logs = logs / temperature
        peak = logs.max(axis=-1, keepdims=True)
        logs = logs - np.where(peak == -np.inf, 0, peak)  # where nothing is possible, that stays
        total = np.log(np.exp(logs).sum(axis=-1, keepdims=True))
        return logs - np.where(peak == -np.inf, 0, total)

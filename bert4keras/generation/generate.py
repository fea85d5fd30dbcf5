"""Text generation with any language model: one call for a batch of prompts.

Legend: B batch, N new tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from keras import ops

from ..data.padding import round_up
from ..models import Backbone
from .loop import Search, arrays, check_logits
from .processors import Processor
from .prompts import MULTIPLE, id_lists, lay_out, right_aligned
from .strategies import EndToken, Greedy, Strategy

_Prompts: TypeAlias = Sequence[Sequence[int]] | np.ndarray
_MOST_SEARCHES = 16  # compiled searches that are kept for one model


@dataclasses.dataclass(frozen=True)
class Generated:
    """Answers to a batch of prompts.

    Attributes:
        token_ids: for each prompt its answers, best first, without the prompt and the last end
            token.
        scores: for each answer the sum of its log-probabilities; under `BeamSearch` its score.
    """

    token_ids: list[list[list[int]]]
    scores: list[list[float]]

    @property
    def best(self) -> list[list[int]]:
        """The best answer to each prompt."""
        return [answers[0] for answers in self.token_ids]


@dataclasses.dataclass(frozen=True)
class Request:
    """Options of `generate`, which documents them."""

    max_new_tokens: int = 64
    end_id: int | None = None
    strategy: Strategy | None = None
    processors: Sequence[Processor] = ()
    segment_ids: Sequence[Sequence[int]] | None = None
    new_segment_id: int | None = None
    min_ends: int = 1
    inputs: Mapping[str, Any] | None = None
    decoder_prompts: _Prompts | None = None

    def __post_init__(self):
        if self.max_new_tokens < 1 or self.min_ends < 1:
            raise ValueError("max_new_tokens and min_ends must be at least 1.")

    def begin(self, model: Backbone, prompts: _Prompts) -> tuple[Search, dict[str, Any]]:
        """Return the search, and its state after the model has read the prompts.

        Raises:
            ValueError: the model has no language-model head, or cannot read the prompts.
        """
        transformer = getattr(model, "transformer", None)
        if transformer is None or not transformer.pretraining_heads.with_mlm:
            raise ValueError(
                "generate needs a model with a language-model head: build_transformer_model(..., "
                "application='lm') (or 'unilm', 'prefix'); with a mask object such as LM() & ..., "
                "with_mlm=True too."
            )
        pad, extra = transformer.config.pad_token_id, dict(self.inputs or {})
        lists = id_lists(prompts, pad)
        if transformer.is_encoder_decoder:
            extra |= _source(lists, pad or 0)
            start = transformer.config.extra.get("decoder_start_token_id", pad or 0)
            given = self.decoder_prompts
            lists = [[start]] * len(lists) if given is None else id_lists(given, pad)
        layout = lay_out(
            transformer, lists, self.max_new_tokens, self.segment_ids, self.new_segment_id, extra
        )
        search = self.search(model, layout.columns)
        tensors = {name: ops.convert_to_tensor(value) for name, value in layout.inputs.items()}
        return search, search.begin(tensors, ops.convert_to_tensor(self.max_new_tokens, "int32"))

    def search(self, model: Backbone, columns: int) -> Search:
        """Return the compiled search of an earlier call with the same options, or a new one."""
        strategy, ending = self.strategy or Greedy(), EndToken(self.end_id, self.min_ends)
        key = (strategy, tuple(self.processors), ending, columns)
        known = vars(model.transformer).setdefault("searches", {})
        if key not in known:
            while len(known) >= _MOST_SEARCHES:
                known.pop(next(iter(known)))
            known[key] = Search(model, strategy, self.processors, ending, columns)
        return known[key]


def generate(
    model: Backbone,
    prompts: _Prompts,
    max_new_tokens: int = 64,
    end_id: int | None = None,
    strategy: Strategy | None = None,
    *,
    processors: Sequence[Processor] = (),
    segment_ids: Sequence[Sequence[int]] | None = None,
    new_segment_id: int | None = None,
    min_ends: int = 1,
    inputs: Mapping[str, Any] | None = None,
    decoder_prompts: _Prompts | None = None,
) -> Generated:
    """Continue prompts token by token.

    The model runs once over the prompts and then on one token at a time, with the keys and values
    of earlier tokens in a cache. Prompts are padded to a multiple of 32 columns, so that prompts of
    other lengths rarely need another compilation.

    Args:
        model: a `Backbone` with a language-model head: of an encoder under `application="lm"`,
            `"unilm"`, `"prefix"` or `"permutation"`, a GPT, or a T5.
        prompts: lists of token ids, of any lengths; or an int array, padded at either end. An
            encoder-decoder reads them with its encoder.
        max_new_tokens: N, largest number of tokens of an answer.
        end_id: token that ends an answer; None: all answers have N tokens.
        strategy: `Greedy()` (the default), `Sample(...)` or `BeamSearch(...)`.
        processors: they change the logits, in this order: `RepetitionPenalty`,
            `NoRepeatNGram`, `MinLength`, `BannedTokens`, `ForcedPrefix` and `Constrained`.
        segment_ids: of the prompts; None: all 0.
        new_segment_id: of new tokens; None: 1 for UniLM, else that of the prompt's last token.
        min_ends: number of end tokens after which an answer is over.
        inputs: further inputs of the model by name, (B, ...), such as `condition`. Those of a mask
            are (B, S), over prompts and answers: the prompts end at a column that is a multiple of
            32, and the new tokens follow, in a multiple of 32. A wrong shape is an error that tells
            the right one.
        decoder_prompts: first tokens of the answers of an encoder-decoder; None: its start token.

    Returns:
        `Generated`.

    Raises:
        ValueError: the model has no language-model head or cannot read the prompts, or a number is
            below 1.
    """
    request = Request(
        max_new_tokens,
        end_id,
        strategy,
        processors,
        segment_ids,
        new_segment_id,
        min_ends,
        inputs,
        decoder_prompts,
    )
    search, state = request.begin(model, prompts)
    state = search.advance(state, ops.convert_to_tensor(max_new_tokens, "int32"))
    return _collect(search, state, max_new_tokens)


def stream(
    model: Backbone,
    prompts: _Prompts,
    max_new_tokens: int = 64,
    end_id: int | None = None,
    strategy: Strategy | None = None,
    *,
    processors: Sequence[Processor] = (),
    segment_ids: Sequence[Sequence[int]] | None = None,
    new_segment_id: int | None = None,
    min_ends: int = 1,
    inputs: Mapping[str, Any] | None = None,
    decoder_prompts: _Prompts | None = None,
) -> Iterator[list[int | None]]:
    """Run `generate` and yield each token as soon as it is chosen.

    Args:
        model, prompts, max_new_tokens, end_id, processors: as in `generate`.
        segment_ids, new_segment_id, min_ends, inputs, decoder_prompts: as in `generate`.
        strategy: `Greedy()` (the default) or `Sample(...)`.

    Yields:
        The next token of each row (n rows per prompt with `Sample(n=...)`), None if the answer of
        the row is over. The end token itself is yielded.
    """
    if strategy is not None and not strategy.can_stream:
        raise ValueError(
            f"{type(strategy).__name__} may still replace earlier tokens, so they cannot be "
            "streamed: use generate(), or strategy=Greedy() or Sample()."
        )
    request = Request(
        max_new_tokens,
        end_id,
        strategy,
        processors,
        segment_ids,
        new_segment_id,
        min_ends,
        inputs,
        decoder_prompts,
    )
    search, state = request.begin(model, prompts)
    for step in range(max_new_tokens):
        going = ~arrays(state["strategy"]["over"])
        if not going.any():
            return
        state = search.advance(state, ops.convert_to_tensor(step + 1, "int32"))
        check_logits(state, search.strategy.width)
        column = arrays(state["tokens"])[:, search.columns + step]
        yield [int(i) if on else None for i, on in zip(column, going, strict=True)]


def _source(lists: list[list[int]], pad: int) -> dict[str, np.ndarray]:
    """Return the inputs of an encoder, padded at the right end."""
    columns = round_up(max(map(len, lists)), multiple_of=MULTIPLE)
    mirrored = right_aligned([row[::-1] for row in lists], columns, pad)[:, ::-1]
    lengths = np.array([len(row) for row in lists])[:, None]
    valid: np.ndarray = (np.arange(columns)[None] < lengths).astype("int32")
    return {"encoder_token_ids": np.ascontiguousarray(mirrored), "encoder_padding_mask": valid}


def _collect(search: Search, state: dict[str, Any], limit: int) -> Generated:
    check_logits(state, search.strategy.width)
    found = arrays({name: state[name] for name in ("strategy", "tokens", "step")})
    stopped = int(found["step"]) < limit
    groups = search.strategy.collect(
        {**found["strategy"], "stopped": stopped}, found["tokens"], search.columns
    )
    end = search.ending.token_id
    return Generated(
        [[_without_end(ids, end) for ids, _ in group] for group in groups],
        [[score for _, score in group] for group in groups],
    )


def _without_end(ids: list[int], end: int | None) -> list[int]:
    return ids[:-1] if ids and end is not None and ids[-1] == end else ids

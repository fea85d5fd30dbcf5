"""Span corruption for encoder-decoders, as in T5: sentinels in the place of spans of the text."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import keras
import numpy as np

from ...config import ConfigError
from ...masks import LM, Packed
from ...models import build_transformer_model
from ...models.model_config import ConfigSource
from ...tokenizers.base import TokenizerBase
from ..rows import TokenRows
from .base import (
    Arrays,
    PretrainingObjective,
    check_at_least,
    check_fraction,
    named_model,
    register_objective,
)
from .segments import find_documents
from .spans import draw_spans, replace_spans

_SENTINELS = ("<extra_id_{}>", "[unused{}]")
_TOKENS_PER_SPARE = (
    32  # raw tokens of a row for which there is room for one more token of its target
)


@register_objective
class SpanCorruption(PretrainingObjective):
    """Replace spans of the text by sentinels in the source, and predict the spans.

        text    Thank you for inviting me to your party last week </s>
        source  Thank you <0> me to your party <1> week </s>
        target  <0> for inviting <1> last </s>

    Sources and targets of a row stay packed; documents do not see each other in the encoder, the
    decoder or between them. A row of L tokens becomes a source of about `(1 - rate + rate /
    mean_span) L` tokens. Documents with fewer than two tokens, or that do not fit because a row has
    very many of them, are left out.

    Args:
        tokenizer: of the model. Its sentinels are the tokens `<extra_id_0>`, ..., or if it has none
            `[unused0]`, ...; its end token ends a target, and its padding begins one.
        rate: share of the tokens in spans, between 0 and 1.
        mean_span: mean number of tokens of a span, 1 or more.
        sentinel_ids: ids of the sentinels, in order, for a tokenizer that has no such tokens. Only
            that many spans are drawn in a document.

    Raises:
        ValueError: an argument out of its range, or a tokenizer without these tokens.
        ConfigError: from `build`, a family without a decoder.

    Source: Raffel et al., 2019 (arXiv:1910.10683), section 3.1.4.
    """

    name: ClassVar[str] = "t5"
    architecture: ClassVar[str | None] = "ForConditionalGeneration"

    def __init__(
        self,
        tokenizer: TokenizerBase,
        rate: float = 0.15,
        mean_span: float = 3.0,
        sentinel_ids: tuple[int, ...] | None = None,
    ):
        super().__init__(tokenizer)
        check_fraction("rate", rate)
        check_at_least("mean_span", mean_span, 1)
        self.rate, self.mean_span = rate, mean_span
        self.end_id = self.required_id(tokenizer, "sep_token_id", "an end of each target")
        self.start_id = self.required_id(tokenizer, "pad_token_id", "a start of each target")
        found = _sentinel_ids(tokenizer) if sentinel_ids is None else list(sentinel_ids)
        self.sentinel_ids = np.array(found, "int64")
        if not found:
            raise ValueError(
                "the objective t5 needs sentinels, and the tokenizer has no token <extra_id_0> or "
                "[unused0]: add some, or give their ids as sentinel_ids."
            )
        if not 0 <= min(found) <= max(found) < self.vocab_size:
            raise ValueError(f"sentinel_ids must be ids below {self.vocab_size}, not {found}.")

    def lengths(self, length: int) -> tuple[int, int]:
        """Return the tokens of a source and of a target, for rows of `length` tokens."""
        hidden, spare = self.rate * length, length // _TOKENS_PER_SPARE
        spans = hidden / self.mean_span
        source = min(length, math.ceil(length - hidden + spans) + spare)
        return source, math.ceil(hidden + spans) + 2 + spare

    def corrupt(self, rows: TokenRows, rng: np.random.Generator) -> tuple[Arrays, np.ndarray]:
        documents, size = find_documents(rows), rows.token_ids.size
        most = len(self.sentinel_ids)
        spans = draw_spans(documents, size, self.rate, self.mean_span, most, rng)
        ids = (self.start_id, self.end_id, self.pad_id)
        lengths = self.lengths(rows.token_ids.shape[1])
        return replace_spans(rows, documents, spans, self.sentinel_ids, *ids, lengths)

    def build(self, checkpoint: ConfigSource, **options: Any) -> keras.Model:
        options = {"application": LM() & Packed(), "with_mlm": "linear", **options}
        backbone = build_transformer_model(checkpoint, **options)
        if not backbone.transformer.is_encoder_decoder:
            raise ConfigError(
                f"the objective t5 cannot train {backbone.config.model_type}: it has no encoder "
                "and decoder. Choose t5, t5.1.1 or mt5."
            )
        names = ("encoder_token_ids", "encoder_document_ids", "token_ids", "document_ids")
        return named_model(self.check_vocabulary(backbone), names)


def _sentinel_ids(tokenizer: TokenizerBase) -> list[int]:
    """Return the ids of the tokenizer's sentinels, counted from 0 or 1."""
    for pattern in _SENTINELS:
        first = 0 if pattern.format(0) in tokenizer.vocab else 1
        count = 0
        while pattern.format(first + count) in tokenizer.vocab:
            count += 1
        if count:
            return [tokenizer.vocab[pattern.format(first + i)] for i in range(count)]
    return []

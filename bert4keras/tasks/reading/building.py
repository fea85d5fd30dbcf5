"""Models of question answering: a head of a family on its encoder, or DGCNN with or without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from ...layers.embeddings import SegmentEmbedding, TokenEmbedding
from ...layers.masking import PaddingMask
from ...models import Backbone
from ...tokenizers.base import TokenizerBase
from ..base import TaskError
from ..huggingface import build_with_head
from ..pretrained import WITHOUT_TOKENIZER, locate, open_encoder, read_config
from .dgcnn import DGCNN
from .matching import FEATURES


def build_reader(
    checkpoint: Any,
    head: str,
    tokenizer: TokenizerBase | None,
    dropout: float,
    units: int,
    options: Mapping[str, Any],
) -> tuple[TokenizerBase, keras.Model]:
    """Build a model from the inputs of an encoder to (B, T, 2); arguments of `ExtractiveQA.build`.

    Raises:
        TaskError: no tokenizer where one is needed, or no encoder for the head "span".
    """
    if head == "span":
        if checkpoint is None:
            raise TaskError(
                'checkpoint=None, which is a model without encoder, needs head="dgcnn".'
            )
        return build_with_head(checkpoint, "question", 2, dropout, tokenizer, options)
    if checkpoint is not None:
        tokenizer, bert = open_encoder(checkpoint, tokenizer, options)
        return tokenizer, _attach_dgcnn(bert.inputs, bert.output, units, dropout)
    if tokenizer is None:
        raise TaskError(WITHOUT_TOKENIZER)
    ids = keras.Input((None,), dtype="int32", name="Input-Token")
    x = TokenEmbedding(tokenizer.vocab_size, units, name="Embedding-Token")(ids)
    x = PaddingMask(tokenizer.token_pad_id, name="Embedding-Mask")([x, ids])
    x = keras.layers.Dropout(dropout, name="Embedding-Dropout")(x)
    return tokenizer, _attach_dgcnn([ids], x, units, dropout)


def _attach_dgcnn(inputs: Any, x: Any, units: int, dropout: float) -> keras.Model:
    """Put DGCNN on vectors (B, T, D) of a question and a passage in one row.

    Returns:
        A model with the further inputs Question-Mask and Passage-Mask (B, T), which tell the two
        apart, and Passage-Features (B, T, 6), to probabilities (B, T, 2).
    """
    question, passage = (
        keras.Input((None,), dtype="int32", name=f"{name}-Mask") for name in ("Question", "Passage")
    )
    features = keras.Input((None, FEATURES), name="Passage-Features")
    head = DGCNN(units, dropout=dropout, name="DGCNN")
    return keras.Model(
        [*inputs, question, passage, features], head([x, question, x, passage, features])
    )


def check_segments(model: keras.Model) -> None:
    """Refuse a model that cannot read the segment ids of `mark_matches`.

    Raises:
        TaskError: it has no segment ids, or fewer than four.
    """
    known = [
        x.input_dim for x in model.layers if isinstance(x, SegmentEmbedding) and not x.constant
    ]
    if max(known, default=0) < 4:
        raise TaskError(
            f"match_segments=True needs an encoder with 4 segments, and this one has "
            f"{max(known, default=0)}. Build it with segment_vocab_size=4, or leave that out."
        )


def config_of(checkpoint: Any) -> dict[str, Any] | None:
    """The config of an encoder in the keys of transformers; None without encoder."""
    if checkpoint is None:
        return None
    if isinstance(checkpoint, Backbone):
        return checkpoint.config.to_json_dict()
    return read_config(locate(checkpoint))

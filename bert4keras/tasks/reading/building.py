"""Models of question answering: an encoder with its own head, or DGCNN with or without encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ..._types import Tensor
from ...layers.embeddings import SegmentEmbedding, TokenEmbedding
from ...layers.masking import PaddingMask
from ...tokenizers.base import TokenizerBase
from ..base import TaskError
from ..huggingface import build_with_head
from ..pretrained import WITHOUT_TOKENIZER, open_encoder
from .dgcnn import DGCNN
from .matching import MATCH_FEATURES


def build_reader(
    checkpoint: Any,
    head: str,
    tokenizer: TokenizerBase | None,
    dropout: float,
    units: int,
    options: Mapping[str, Any],
) -> tuple[TokenizerBase, keras.Model, dict[str, Any] | None]:
    """Build a model with output (B, T, 2); arguments of `ExtractiveQA.build`.

    Returns:
        (tokenizer, model, config of the encoder, which only the head "span" needs).

    Raises:
        TaskError: the tokenizer is missing, or the encoder for the head "span".
    """
    if head == "span":
        if checkpoint is None:
            raise TaskError(
                'checkpoint=None builds a model without encoder, which needs head="dgcnn".'
            )
        return build_with_head(checkpoint, "question", 2, dropout, tokenizer, options)
    if checkpoint is not None:
        tokenizer, bert = open_encoder(checkpoint, tokenizer, options)
        return tokenizer, _attach_dgcnn(bert.inputs, bert.output, units, dropout), None
    if tokenizer is None:
        raise TaskError(WITHOUT_TOKENIZER)
    ids = keras.Input((None,), dtype="int32", name="Input-Token")
    x = TokenEmbedding(tokenizer.vocab_size, units, name="Embedding-Token")(ids)
    x = PaddingMask(tokenizer.token_pad_id, name="Embedding-Mask")([x, ids])
    x = keras.layers.Dropout(dropout, name="Embedding-Dropout")(x)
    return tokenizer, _attach_dgcnn([ids], x, units, dropout), None


def _attach_dgcnn(inputs: Sequence[Tensor], x: Tensor, units: int, dropout: float) -> keras.Model:
    """Put DGCNN on vectors (B, T, D) of a question and a passage in one row.

    Returns:
        A model with the additional inputs Question-Mask and Passage-Mask (B, T), which separate the
        two, and Passage-Features (B, T, 6); its output is probabilities (B, T, 2).
    """
    question, passage = (
        keras.Input((None,), dtype="int32", name=f"{name}-Mask") for name in ("Question", "Passage")
    )
    features = keras.Input((None, MATCH_FEATURES), name="Passage-Features")
    head = DGCNN(units, dropout=dropout, name="DGCNN")
    return keras.Model(
        [*inputs, question, passage, features], head([x, question, x, passage, features])
    )


def check_segments(model: keras.Model) -> None:
    """Check that a model accepts the segment ids of `mark_matches`.

    Raises:
        TaskError: the model has no segment ids, or fewer than four.
    """
    known = [
        x.input_dim for x in model.layers if isinstance(x, SegmentEmbedding) and not x.constant
    ]
    if max(known, default=0) < 4:
        raise TaskError(
            f"match_segments=True needs an encoder with 4 segments, but this one has "
            f"{max(known, default=0)}. Build it with segment_vocab_size=4, or set "
            "match_segments=False."
        )

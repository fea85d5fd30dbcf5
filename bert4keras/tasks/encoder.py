"""Facts about the encoder inside a model, asked of the model and never assumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from ..data.padding import sequence_padding
from ..layers.masking import PaddingMask
from ..masks import AttentionMask, Mask, input_layer_name
from ..positions import PositionIds
from ..tokenizers.base import TokenizerBase

_SUPPORTED = ("token_ids", "segment_ids")
# Input of an encoder alone, or of an encoder-decoder, whose names say which part it is for.
_ENCODER_INPUT = "Encoder-Input-Token"
# Lengths to which inputs are padded. Compiled backends see few shapes, and little is wasted.
_BUCKETS = (*range(8, 64, 8), *range(64, 128, 16), *range(128, 513, 32))


@dataclasses.dataclass(frozen=True)
class EncoderFacts:
    """Facts that a task must know to feed an encoder.

    Attributes:
        inputs: names of the model's inputs in their order: `"token_ids"`, `"segment_ids"`, and
            what the task feeds besides.
        pad_token_id: id of the padding token; None if no token counts as padding.
        max_length: number of tokens that can have a position; None if any number can.
        mask: who may attend to whom; an LM's first token, for one, sees nothing of the text.
        others: padding value of each input that a task feeds besides, by name; None: the padding
            token.
        fixed: names of inputs of a fixed size, which are not padded.
    """

    inputs: tuple[str, ...]
    pad_token_id: int | None
    max_length: int | None
    mask: Mask
    others: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    fixed: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, model: keras.Model, others: Mapping[str, float | None] | None = None
    ) -> EncoderFacts:
        """Read the facts off a functional model with one of our encoders in it.

        Args:
            model: the model.
            others: padding value of each input that the task feeds besides, by its Keras name.

        Raises:
            ValueError: there is no encoder, or it needs inputs that a text does not give.
        """
        masks = [layer for layer in model.layers if isinstance(layer, AttentionMask)]
        # A model without attention says by its PaddingMask what is padding.
        padded = masks or [layer for layer in model.layers if isinstance(layer, PaddingMask)]
        if not padded:
            raise ValueError(
                "the model has no encoder of build_transformer_model (no layer Attention-Mask). "
                "Put the head on `bert.output` and make keras.Model(bert.inputs, output)."
            )
        others = others or {}
        known = {input_layer_name(name): name for name in _SUPPORTED} | {n: n for n in others}
        known[_ENCODER_INPUT] = "token_ids"
        names = [known.get(tensor.name) for tensor in model.inputs]
        if None in names:
            raise ValueError(
                f"the model has an input {model.inputs[names.index(None)].name}, which a text does "
                f"not give; a task feeds {' and '.join(known)}. Override `encode` to give others."
            )
        fixed = {t.name for t in model.inputs if len(t.shape) < 2 or t.shape[1] is not None}
        lengths = [layer.max_length for layer in model.layers if isinstance(layer, PositionIds)]
        return cls(
            tuple(names),
            padded[0].pad_token_id,
            min(filter(None, lengths), default=None),
            masks[0].strategy if masks else Mask(),
            others,
            frozenset(fixed & set(others)),
        )

    def select(
        self, token_ids: list[int], segment_ids: list[int], **others: Any
    ) -> tuple[Any, ...]:
        """The inputs that this model takes, of those given.

        Args:
            token_ids, segment_ids: of a tokenizer.
            **others: values of further inputs, a list or an array, by the name of the input with
                "-" written as "_".
        """
        given = {"token_ids": token_ids, "segment_ids": segment_ids, **others}
        return tuple(given[name.replace("-", "_")] for name in self.inputs)

    @property
    def padding(self) -> tuple[int, ...]:
        """Padding value of each input."""
        pad = self.pad_token_id or 0
        values = {"token_ids": pad, "segment_ids": 0, **self.others}
        return tuple(pad if values[name] is None else values[name] for name in self.inputs)

    def batch(self, rows: Sequence[tuple[Any, ...]]) -> list[np.ndarray]:
        """Arrays (B, T, ...) of encoded texts of different lengths.

        An encoder without a padding id takes rows of equal length only.
        """
        buckets = _BUCKETS
        if self.pad_token_id is None:
            buckets = None
        elif self.max_length is not None:
            buckets = (*(n for n in _BUCKETS if n < self.max_length), self.max_length)
        return [
            sequence_padding(
                column,
                value=value,
                buckets=None if name in self.fixed else buckets,
                dtype="int32" if name in _SUPPORTED else None,
            )
            for name, column, value in zip(
                self.inputs, zip(*rows, strict=True), self.padding, strict=True
            )
        ]


def check_agreement(tokenizer: TokenizerBase, model: keras.Model, facts: EncoderFacts) -> None:
    """Refuse a tokenizer that makes ids which the encoder does not have.

    Raises:
        ValueError: naming both sizes.
    """
    embedding: Any = next((x for x in model.layers if x.name.endswith("Embedding-Token")), None)
    rows = getattr(embedding, "input_dim", None)
    if rows is not None and tokenizer.vocab_size > rows:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} ids, more than the {rows} rows of the "
            "model's token embedding. They do not belong together."
        )

"""Facts about the encoder inside a model, read from the model itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from ..data.padding import sequence_padding
from ..export import ExportedModel
from ..layers.masking import PaddingMask
from ..masks import AttentionMask, Mask, get_mask
from ..masks.base import input_layer_name
from ..positions import PositionIds
from ..tokenizers.base import TokenizerBase

_SUPPORTED = ("token_ids", "segment_ids")
# Input of T5's encoder, whose name says which part of an encoder-decoder it belongs to.
_ENCODER_INPUT = "Encoder-Input-Token"
# Lengths to which inputs are padded: few, since each is compiled, but without much padding.
_BUCKETS = (*range(8, 64, 8), *range(64, 128, 16), *range(128, 513, 32))


_Ids = Sequence[int] | np.ndarray


@dataclasses.dataclass(frozen=True)
class EncoderFacts:
    """Facts that a task needs to feed an encoder.

    Attributes:
        inputs: names of the model's inputs in their order: `"token_ids"`, `"segment_ids"`, and
            further inputs of the task.
        pad_token_id: id of the padding token; None if no token counts as padding.
        max_length: largest number of tokens; None if it is not limited.
        mask: attention mask of the encoder; under a causal one the first token sees only itself.
        others: padding value of each further input, by name; None: the padding token.
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
        """Read the facts from a functional model that contains an encoder of this package.

        Args:
            model: the model.
            others: padding value of each further input, by its Keras name.

        Raises:
            ValueError: there is no encoder, or it needs inputs that the task does not give.
        """
        if isinstance(model, ExportedModel):
            return cls.from_json(model.facts["encoder"])
        masks = [layer for layer in model.layers if isinstance(layer, AttentionMask)]
        # In a model without attention, its PaddingMask knows the padding id.
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
            unknown = model.inputs[names.index(None)].name
            raise ValueError(
                f"the model has an input {unknown}, but the task gives only "
                f"{', '.join(known)}. Set `extra_inputs` and override `encode` to give others."
            )
        fixed = {t.name for t in model.inputs if len(t.shape) < 2 or t.shape[1] is not None}
        lengths = [layer.max_length for layer in model.layers if isinstance(layer, PositionIds)]
        return cls(
            tuple(name for name in names if name),
            padded[0].pad_token_id,
            min(filter(None, lengths), default=None),
            masks[0].strategy if masks else Mask(),
            others,
            frozenset(fixed & set(others)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values; of the mask only whether it is causal."""
        return {
            "inputs": list(self.inputs),
            "pad_token_id": self.pad_token_id,
            "max_length": self.max_length,
            "causal": self.mask.is_causal,
            "others": dict(self.others),
            "fixed": sorted(self.fixed),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EncoderFacts:
        """Return the facts that `to_json` wrote."""
        return cls(
            tuple(values["inputs"]),
            values["pad_token_id"],
            values["max_length"],
            get_mask("lm") if values["causal"] else Mask(),
            dict(values["others"]),
            frozenset(values["fixed"]),
        )

    def select(self, token_ids: _Ids, segment_ids: _Ids, **others: Any) -> tuple[Any, ...]:
        """Return those of the given inputs that the model takes, in its order.

        Args:
            token_ids, segment_ids: ids from a tokenizer.
            **others: values of further inputs, lists or arrays, by the name of the input with "_"
                in place of "-".
        """
        given = {"token_ids": token_ids, "segment_ids": segment_ids, **others}
        return tuple(given[name.replace("-", "_")] for name in self.inputs)

    @property
    def padding(self) -> tuple[float, ...]:
        """Padding value of each input."""
        pad = self.pad_token_id or 0
        values = {"token_ids": pad, "segment_ids": 0, **self.others}
        given = (values[name] for name in self.inputs)
        return tuple(pad if value is None else value for value in given)

    def batch(self, rows: Sequence[tuple[Any, ...]]) -> list[np.ndarray]:
        """Pad encoded texts to arrays (B, T, ...), one for each input.

        An encoder without a padding id takes only rows of equal length.
        """
        buckets: Sequence[int] | None = _BUCKETS
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


def check_agreement(tokenizer: TokenizerBase, model: keras.Model) -> None:
    """Raise if the tokenizer has ids that the encoder's embedding has not.

    Raises:
        ValueError: naming both sizes.
    """
    embedding: Any = next((x for x in model.layers if x.name.endswith("Embedding-Token")), None)
    rows = getattr(embedding, "input_dim", None)
    if rows is not None and tokenizer.vocab_size > rows:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} ids, more than the {rows} rows of the "
            "model's token embedding. Give the tokenizer that belongs to the model."
        )

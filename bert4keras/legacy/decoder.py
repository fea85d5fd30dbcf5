"""The decoder of an encoder-decoder with the two inputs that it had in 0.11."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._serialization import serializable
from .._types import Shape, Tensor
from ..models.backbone import Backbone


@serializable
class ContextTokens(keras.layers.Layer):
    """Token ids that mark the padding of an encoder's output: vectors that are zero.

    Args:
        pad_token_id: id at padding; other positions get another one.

    Call arguments:
        context: (B, S, D).

    Returns:
        int32 (B, S).
    """

    def __init__(self, pad_token_id: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.pad_token_id = pad_token_id

    def build(self, input_shape: Shape) -> None:
        self.built = True

    def call(self, context: Tensor) -> Tensor:
        real = ops.cast(ops.any(ops.not_equal(context, 0), axis=-1), "int32")
        pad = self.pad_token_id
        return pad * (1 - real) + (0 if pad else 1) * real

    def compute_output_spec(self, context: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(context.shape[:-1], dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pad_token_id": self.pad_token_id}


def two_input_decoder(decoder: Backbone) -> keras.Model:
    """Return a model of a decoder that finds the padding of the source in the encoder's output.

    Args:
        decoder: with inputs `context`, `encoder_token_ids` and the decoder's token ids.

    Returns:
        A model without the second input; it shares the weights.
    """
    named = dict(zip(decoder.input_order, decoder.inputs, strict=False))
    ids = ContextTokens(decoder.config.pad_token_id or 0, name="Context-Token")(named["context"])
    given = [ids if x is named["encoder_token_ids"] else x for x in decoder.inputs]
    own = [x for x in decoder.inputs if x is not named["encoder_token_ids"]]
    return keras.Model(own, decoder(given), name=f"{decoder.name}_of_context")

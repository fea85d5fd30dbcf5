"""Pooling: from a vector per token to a vector per text."""

from __future__ import annotations

import keras
from keras import ops

from .._serialization import serializable
from .._types import Tensor
from .masking import EndsMask, ReadsPadding, first_shape


@serializable
class FirstToken(EndsMask, keras.layers.Layer):
    """Vector of the first token, [CLS]: (B, T, D) to (B, D)."""

    def call(self, x):
        return x[:, 0]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])


@serializable
class TokensAt(EndsMask, keras.layers.Layer):
    """Vectors at given positions, such as those of the masked tokens: (B, T, D) to (B, M, D).

    Call arguments:
        inputs: pair `[x, positions]`, (B, T, D) and int (B, M).
    """

    def call(self, inputs):
        x, positions = inputs
        return ops.take_along_axis(x, ops.cast(positions, "int32")[:, :, None], axis=1)

    def compute_output_shape(self, input_shape):
        (batch, _, width), (_, count) = input_shape
        return (batch, count, width)


@serializable
class MaskedMeanPooling(ReadsPadding, keras.layers.Layer):
    """Mean over the tokens that are not padding: (B, T, D) to (B, D).

    Args:
        pad_token_id: token id of padding; None: the Keras mask of the vectors decides; -1: no token
            is padding.

    Call arguments:
        inputs: x, or a pair `[x, token_ids]`, int (B, T). A row of only padding gives zeros.

    Raises:
        ValueError: there is no `pad_token_id`, and the vectors have no mask.
    """

    def __init__(self, pad_token_id: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.pad_token_id = pad_token_id

    def call(self, inputs, mask=None):
        return mean(self.split(inputs)[0], self.real_tokens(inputs, mask))

    def compute_output_shape(self, input_shape):
        shape = first_shape(input_shape)
        return (shape[0], shape[-1])

    def get_config(self):
        return {**super().get_config(), "pad_token_id": self.pad_token_id}


def mean(x: Tensor, mask: Tensor) -> Tensor:
    """Average the vectors (B, T, D) where `mask` (B, T) is True; zeros if it never is: (B, D)."""
    weight = ops.cast(mask, x.dtype)[:, :, None]
    return ops.sum(x * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1)

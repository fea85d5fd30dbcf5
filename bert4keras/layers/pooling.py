"""From a vector per token to a vector per text."""

from __future__ import annotations

import keras
from keras import ops

from .._serialization import serializable


@serializable
class FirstToken(keras.layers.Layer):
    """The vector of the first token, [CLS]: (B, T, D) to (B, D)."""

    def call(self, x):
        return x[:, 0]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])


@serializable
class MaskedMeanPooling(keras.layers.Layer):
    """The mean over tokens that are no padding: (B, T, D) and token ids (B, T) to (B, D).

    Args:
        pad_token_id: token id that counts as padding.

    Call arguments:
        inputs: pair `[x, token_ids]`. A row of padding alone gives zeros.
    """

    def __init__(self, pad_token_id: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.pad_token_id = pad_token_id

    def call(self, inputs):
        x, token_ids = inputs
        valid = ops.cast(ops.not_equal(token_ids, self.pad_token_id), x.dtype)[:, :, None]
        return ops.sum(x * valid, axis=1) / ops.maximum(ops.sum(valid, axis=1), 1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], input_shape[0][-1])

    def get_config(self):
        return {**super().get_config(), "pad_token_id": self.pad_token_id}

"""From a vector per token to a vector per text."""

from __future__ import annotations

import keras
from keras import ops

from .._serialization import serializable
from .masking import EndsMask, ReadsPadding, first_shape


@serializable
class FirstToken(EndsMask, keras.layers.Layer):
    """The vector of the first token, [CLS]: (B, T, D) to (B, D)."""

    def call(self, x):
        return x[:, 0]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])


@serializable
class MaskedMeanPooling(ReadsPadding, keras.layers.Layer):
    """The mean over tokens that are no padding: (B, T, D) to (B, D).

    Args:
        pad_token_id: token id that counts as padding; None: what the Keras mask of the vectors
            says; -1: no token is padding.

    Call arguments:
        inputs: x, or a pair `[x, token_ids]`, int (B, T). A row of padding alone gives zeros.

    Raises:
        ValueError: no `pad_token_id`, and vectors without a mask.
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


def mean(x, counted):
    """Mean of the vectors (B, T, D) that are counted, bool (B, T); zeros where none is: (B, D)."""
    counted = ops.cast(counted, x.dtype)[:, :, None]
    return ops.sum(x * counted, axis=1) / ops.maximum(ops.sum(counted, axis=1), 1)

"""Pooling layers for tasks only."""

from __future__ import annotations

import keras
from keras import ops

from .._serialization import serializable
from .._types import Tensor


def tokens_at(x: Tensor, places: Tensor) -> Tensor:
    """Return the vectors of tokens, (B, K, D).

    As `ops.take_along_axis`, from which torch makes graphs of a fixed length only.

    Args:
        x: (B, T, D).
        places: int (B, K), positions from 0 to T - 1.
    """
    rows, length, width = ops.shape(x)
    first = ops.arange(rows, dtype="int32")[:, None] * length
    return ops.take(ops.reshape(x, (-1, width)), first + ops.cast(places, "int32"), axis=0)


@serializable
class LastToken(keras.layers.Layer):
    """The vector of the last token that is no padding: (B, T, D) to (B, D).

    For causal encoders, in which only the last token sees the whole text. The Keras mask of the
    input tells padding; without a mask the last position is taken.
    """

    supports_masking = True

    def call(self, x, mask=None):
        if mask is None:
            return x[:, -1]
        places = ops.arange(ops.shape(x)[1], dtype="int32")[None, :]
        last = ops.max(ops.where(mask, places, 0), axis=1)
        return tokens_at(x, last[:, None])[:, 0]

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])

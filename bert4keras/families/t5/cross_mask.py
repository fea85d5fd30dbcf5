"""Mask of the cross-attention of packed documents."""

from __future__ import annotations

import keras
from keras import ops

from ..._serialization import serializable


@serializable
class SameDocument(keras.layers.Layer):
    """Mask of the keys (B, 1, 1, S) that hides the other documents: bool (B, 1, T, S).

    Call arguments:
        inputs: the mask, and the document numbers of queries (B, T) and keys (B, S).
    """

    def build(self, input_shape):
        self.built = True

    def call(self, inputs):
        mask, queries, keys = inputs
        same = ops.equal(queries[:, None, :, None], keys[:, None, None, :])
        return ops.logical_and(mask, same)

    def compute_output_spec(self, inputs):
        _, queries, keys = inputs
        return keras.KerasTensor((queries.shape[0], 1, queries.shape[1], keys.shape[1]), "bool")

"""Output bias of the masked-language-model head."""

from __future__ import annotations

import keras

from .._serialization import serializable
from .masking import CarriesMask


@serializable
class VocabularyBias(CarriesMask, keras.layers.Layer):
    """Trained bias per token of the vocabulary, added to scores (B, T, V)."""

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, scores):
        return scores + self.bias

    def compute_output_shape(self, input_shape):
        return input_shape

"""Multi-sample dropout for the classification of whole texts."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ..._serialization import serializable
from ...layers.masking import CarriesMask


@serializable
class MultiSampleDropout(CarriesMask, keras.layers.Layer):
    """A classifier that is trained under several dropout masks at once: (B, D) to (B, C).

    The paper takes the mean of the cross entropies under K masks. With z_k the scores under mask
    k, labels y and s the softmax of the *mean* scores, that is exactly

        mean_k CE(y, softmax(z_k)) = CE(y, s) + mean_k logsumexp(z_k) - logsumexp(mean_k z_k)

    The first term is the loss that the model is compiled with, on the output of this layer; the
    others, which need no label and pull the scores of the masks together, are added by the layer
    in training.
    So a plain `compile` trains the paper's loss, with label smoothing too. (Averaging only the
    scores, as is often done, equals a single dropout of smaller variance.) In inference this is a
    `Dense`, and with one sample a `Dropout` before it. Sample weights do not weigh the added loss.

    Args:
        units: number of classes, C.
        samples: number of masks, K.
        rate: dropout rate.
        activation: `"softmax"`, or None for scores.

    Source: Inoue, Multi-Sample Dropout, 2019 (arXiv:1905.09788).
    """

    def __init__(
        self,
        units: int,
        samples: int = 5,
        rate: float = 0.5,
        activation: str | None = "softmax",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if units < 1 or samples < 1:
            raise ValueError(f"units={units} and samples={samples} must be at least 1.")
        self.units, self.samples, self.rate = units, samples, rate
        self.activation = keras.activations.get(activation)
        self.dropout = keras.layers.Dropout(rate, dtype=self.dtype_policy)
        self.dense = keras.layers.Dense(units, dtype=self.dtype_policy, name="dense")

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x, training=None):
        if not training:
            return self.activation(self.dense(x))
        scores = [self.dense(self.dropout(x, training=True)) for _ in range(self.samples)]
        if self.samples == 1:
            return self.activation(scores[0])
        each = ops.cast(ops.stack(scores), "float32")
        mean = ops.mean(each, axis=0)
        spread = ops.mean(ops.logsumexp(each, axis=-1), axis=0) - ops.logsumexp(mean, axis=-1)
        self.add_loss(ops.mean(spread))
        return self.activation(ops.cast(mean, self.compute_dtype))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "samples": self.samples,
            "rate": self.rate,
            "activation": keras.activations.serialize(self.activation),
        }

"""Prior of a few discrete codes: each depends on the codes before it.

Symbols: B batch, M codes, K values a code, E size of the vector of a code.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from .._serialization import serializable


@serializable
class CodePrior(keras.layers.Layer):
    """Autoregressive prior p(c) = prod over m of p(c_m | c_1 .. c_(m-1)), by a linear model.

        p(c_m = k | ...) = softmax over k of (b_mk + sum over j < m of v_j . W_jmk)

    v_j is the vector of code c_j. All weights are 0 at the start, where p is uniform.

    Args:
        values: K.

    Call arguments:
        vectors: (B, M, E).

    Returns:
        log p of each value of each code, (B, M, K).

    Source: Frey, Graphical Models for Machine Learning and Digital Communication, 1998 (fully
    visible belief networks); a learnt prior of VQ codes: arXiv:1711.00937.
    """

    def __init__(self, values: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.values = values

    def build(self, input_shape):
        codes, size = input_shape[1:]
        shape = (codes, size, codes, self.values)
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="kernel")
        self.bias = self.add_weight(shape=(codes, self.values), initializer="zeros", name="bias")
        self.before = np.triu(np.ones((codes, codes), "float32"), 1)[:, None, :, None]

    def call(self, vectors):
        kernel = self.kernel * ops.cast(self.before, self.kernel.dtype)
        scores = ops.einsum("bje,jemk->bmk", vectors, kernel) + self.bias
        return ops.log_softmax(scores, axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], self.values)

    def draw(self, table: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw codes one after the other; return their vectors, float32 (count, M, E).

        Args:
            table: vectors of the codes, (M, K, E).
            count: number of rows.
            rng: source of the draws.
        """
        vectors = np.zeros((count, len(table), table.shape[-1]), "float32")
        for place in range(len(table)):
            logs = ops.convert_to_numpy(self(ops.convert_to_tensor(vectors)))[:, place]
            vectors[:, place] = table[place, draw_categories(logs, rng)]
        return vectors

    def get_config(self):
        return {**super().get_config(), "values": self.values}


def draw_categories(logs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw from categories with log-probabilities `logs` (..., K), by the Gumbel-max trick."""
    return (logs + rng.gumbel(size=logs.shape)).argmax(axis=-1)

"""Attention in which relative positions act on keys and on values."""

from __future__ import annotations

import numpy as np
from keras import ops

from .._serialization import serializable
from ..positions import sinusoids
from .attention import MultiHeadAttention


@serializable
class RelativeAttention(MultiHeadAttention):
    """`MultiHeadAttention` that adds a fixed vector per distance to every key and value.

    Args:
        max_relative_position: farther distances count as this one.
        **kwargs: of `MultiHeadAttention`.

    Call arguments:
        positions, key_positions: are needed here.

    Source: Shaw et al., Self-Attention with Relative Position Representations, 2018
    (arXiv:1803.02155), with the sines of NEZHA (arXiv:1909.00204).
    """

    def __init__(self, *args, max_relative_position: int = 64, **kwargs):
        super().__init__(*args, **kwargs)
        self.max_relative_position = max_relative_position
        if self.key_size != self.head_size:
            raise ValueError(
                f"keys and values share their vectors of distances: attention_key_size "
                f"{self.key_size} must equal attention_head_size {self.head_size}."
            )

    def vectors(self, where, dtype):
        """Vectors of all distances, (B|1, T, S, H)."""
        positions, key_positions = where
        limit = self.max_relative_position
        distances = key_positions[:, None, :] - positions[:, :, None]
        distances = ops.clip(distances, -limit, limit) + limit
        table: np.ndarray = sinusoids(2 * limit + 1, self.head_size)
        return ops.take(ops.cast(table, dtype), distances, axis=0)

    def own_bias(self, query, key, where, relative):
        return per_pair("btnh", query, self.vectors(where, query.dtype), "bnts") * self.scale

    def combine(self, probabilities, value, where):
        mean = super().combine(probabilities, value, where)
        return mean + per_pair("bnts", probabilities, self.vectors(where, value.dtype), "btnh")

    def get_config(self):
        return {**super().get_config(), "max_relative_position": self.max_relative_position}


def per_pair(axes: str, x, vectors, result: str):
    """Contract `x` with vectors per pair of positions, (B|1, T, S, H)."""
    if vectors.shape[0] == 1:  # einsum does not stretch a batch of one on every backend
        return ops.einsum(f"{axes},tsh->{result}", x, vectors[0])
    return ops.einsum(f"{axes},btsh->{result}", x, vectors)

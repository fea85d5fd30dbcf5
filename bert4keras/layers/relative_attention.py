"""Attention with relative positions on keys and values; NEZHA's layer."""

from __future__ import annotations

import numpy as np
from keras import ops

from .._serialization import serializable
from .._types import Tensor
from ..positions import sinusoids
from .attention import MultiHeadAttention


@serializable
class RelativeAttention(MultiHeadAttention):
    """`MultiHeadAttention` that adds a fixed vector per distance to every key and value.

    Args:
        max_relative_position: largest distance in tokens; larger ones count as this one.
        **kwargs: of `MultiHeadAttention`.

    Call arguments:
        positions, key_positions: required.

    Source: Shaw et al., Self-Attention with Relative Position Representations, 2018
    (arXiv:1803.02155), with the sines of NEZHA (arXiv:1909.00204).
    """

    def __init__(self, *args, max_relative_position: int = 64, **kwargs):
        super().__init__(*args, **kwargs)
        self.max_relative_position = max_relative_position
        if self.key_size != self.head_size:
            raise ValueError(
                f"attention_key_size is {self.key_size} and attention_head_size {self.head_size}; "
                "they must be equal, since keys and values share the vectors of distances."
            )

    def vectors(self, positions: Tensor, key_positions: Tensor, dtype: str) -> Tensor:
        """Return the vectors of all distances between queries and keys, (B|1, T, S, H)."""
        limit = self.max_relative_position
        distances = key_positions[:, None, :] - positions[:, :, None]
        distances = ops.clip(distances, -limit, limit) + limit
        table: np.ndarray = sinusoids(2 * limit + 1, self.head_size)
        return ops.take(ops.cast(table, dtype), distances, axis=0)

    def position_scores(self, *, query, key, positions, key_positions, relative):
        vectors = self.vectors(positions, key_positions, query.dtype)
        return _contract("btnh", query, vectors, "bnts") * self.scale

    def weighted_values(self, *, probabilities, value, positions, key_positions):
        places = {"positions": positions, "key_positions": key_positions}
        values = super().weighted_values(probabilities=probabilities, value=value, **places)
        vectors = self.vectors(positions, key_positions, value.dtype)
        return values + _contract("bnts", probabilities, vectors, "btnh")

    def get_config(self):
        return {**super().get_config(), "max_relative_position": self.max_relative_position}


def _contract(axes: str, x: Tensor, vectors: Tensor, result: str) -> Tensor:
    """Contract x, with einsum letters `axes`, with vectors (B|1, T, S, H) to `result`."""
    if vectors.shape[0] == 1:  # einsum does not broadcast a batch of one on every backend
        return ops.einsum(f"{axes},tsh->{result}", x, vectors[0])
    return ops.einsum(f"{axes},btsh->{result}", x, vectors)

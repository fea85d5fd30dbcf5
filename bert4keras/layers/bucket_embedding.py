"""Bias of attention scores by buckets of distances; T5's layer."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from .._lookup import Lookup
from .._serialization import serializable


def distance_buckets(count: int, max_distance: int, bidirectional: bool) -> np.ndarray:
    """Return the buckets of the distances `key - query` from `-max_distance` to `max_distance`.

    Half of the buckets of a direction hold one distance each; the others grow geometrically, and
    the last one also holds all larger distances. Computed in whole numbers, so that no backend
    rounds a border differently.

    Returns:
        int32 (2 max_distance + 1,).
    """
    distances = np.arange(-max_distance, max_distance + 1)
    size = count // 2 if bidirectional else count
    exact = size // 2
    grown = size - exact
    # Bucket exact + j starts where distance / exact >= (max_distance / exact) ** (j / grown).
    borders = [
        next(
            d
            for d in range(exact, max_distance + 1)
            if d**grown * exact**j >= max_distance**j * exact**grown
        )
        for j in range(1, grown)
    ]
    starts = [*range(1, exact + 1), *borders]
    back = np.searchsorted(starts, np.maximum(-distances, 0), side="right")
    if not bidirectional:
        return back.astype("int32")
    ahead = size + np.searchsorted(starts, distances, side="right")
    return np.where(distances > 0, ahead, back).astype("int32")


@serializable
class BucketEmbedding(Lookup):
    """Embedding of distances between queries and keys: a trained number per head and bucket.

    Args:
        input_dim: number of buckets.
        output_dim: N, number of heads.
        max_distance: distance that is in the last bucket, as all larger ones are.
        bidirectional: keys after the query have their own buckets; else they all share one.
        **kwargs: of `keras.layers.Embedding`.

    Call arguments:
        inputs: position ids of the queries (B|1, T) and of the keys (B|1, S), int.

    Returns:
        Bias (B|1, N, T, S) of the attention scores.
    """

    def __init__(
        self, input_dim, output_dim, max_distance: int = 128, bidirectional: bool = True, **kwargs
    ):
        super().__init__(input_dim, output_dim, **kwargs)
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.buckets = distance_buckets(input_dim, max_distance, bidirectional)

    def call(self, inputs):
        queries, keys = inputs
        distances = keys[:, None, :] - queries[:, :, None]
        limit = self.max_distance
        buckets = ops.take(self.buckets, ops.clip(distances, -limit, limit) + limit, axis=0)
        return ops.transpose(super().call(buckets), (0, 3, 1, 2))

    def compute_output_spec(self, inputs):
        queries, keys = inputs
        batch = keys.shape[0] if queries.shape[0] == 1 else queries.shape[0]
        shape = (batch, self.output_dim, queries.shape[1], keys.shape[1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "max_distance": self.max_distance,
            "bidirectional": self.bidirectional,
        }

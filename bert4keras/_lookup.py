"""Base of embeddings that train alike on every backend."""

from __future__ import annotations

import keras
from keras import ops

from ._compat import take_rows
from ._types import Tensor


def look_up(layer: keras.layers.Embedding, ids: Tensor) -> Tensor:
    """Return the vectors of ids (B, T), as `call` of an embedding does: (B, T, D)."""
    ids = ids if keras.backend.is_int_dtype(ids.dtype) else ops.cast(ids, "int32")
    return ops.cast(take_rows(layer.embeddings, ids), layer.compute_dtype)


class Lookup(keras.layers.Embedding):
    """`keras.layers.Embedding` whose gradient is a table on TensorFlow too, see `take_rows`."""

    def call(self, inputs):
        return look_up(self, inputs)

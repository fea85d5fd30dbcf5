"""Attention with scores between content and relative positions; DeBERTa's layers."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from .._compat import take_along_last_axis
from .._serialization import serializable
from .._types import ActivationLike, Tensor
from .activations import get_activation
from .attention import MultiHeadAttention
from .masking import CarriesMask

TERMS = ("c2p", "p2c")


@functools.cache
def bucket_table(max_distance: int, buckets: int) -> np.ndarray:
    """Return the row of the position table for each distance `-max_distance ... max_distance`.

    Args:
        max_distance: in tokens; larger distances count as this one.
        buckets: half the number of rows. Distances up to half of `buckets` have their own row, and
            larger ones share the others on a logarithmic scale. 0: a row for each distance.

    Returns:
        int32 (2 max_distance + 1,).
    """
    distance = np.arange(-max_distance, max_distance + 1)
    bucket, span = distance, max_distance
    if buckets:
        span, near = buckets, buckets // 2
        # In float32, as the models were trained: rounding may change the ceiling.
        share = np.log(np.maximum(np.abs(distance), near) / np.float32(near), dtype="float32")
        share = share / np.log(np.float32((max_distance - 1) / near)) * np.float32(near - 1)
        far = np.sign(distance) * (near + np.ceil(share).astype("int64"))
        bucket = np.where(np.abs(distance) <= near, distance, far)
    return np.clip(bucket + span, 0, 2 * span - 1).astype("int32")


@serializable
class DisentangledAttention(MultiHeadAttention):
    """`MultiHeadAttention` with scores between content and vectors of relative positions.

    Args:
        max_distance: in tokens; larger distances count as this one.
        buckets: see `bucket_table`.
        terms: `"c2p"`, scores of queries and positions, and `"p2c"`, of positions and keys.
        share_key: project positions with the weights of the content, instead of separate ones
            (`position_key` and `position_query`).
        **kwargs: of `MultiHeadAttention`.

    Call arguments:
        relative: (2 buckets, D), or (2 max_distance, D) without buckets; required.
        positions, key_positions: required.

    Source: He et al., DeBERTa, 2020 (arXiv:2006.03654) and DeBERTaV3, 2021 (arXiv:2111.09543).
    """

    def __init__(
        self,
        *args,
        max_distance: int = 512,
        buckets: int = 0,
        terms: Iterable[str] = TERMS,
        share_key: bool = True,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.max_distance = max_distance
        self.buckets = buckets
        self.terms = tuple(terms)
        self.share_key = share_key

    @property
    def scale(self):
        return 1 / math.sqrt(self.key_size * (1 + len(self.terms)))

    def build(self, x_shape, context_shape=None):
        super().build(x_shape, context_shape)
        self.position_key, self.position_query = self.key, self.query
        if not self.share_key:
            for term, name in zip(TERMS, ("position_key", "position_query"), strict=True):
                dense = self.projection(name, self.heads * self.key_size)
                if term in self.terms:
                    dense.build((None, x_shape[-1]))
                setattr(self, name, dense if term in self.terms else None)

    def position_scores(self, *, query, key, positions, key_positions, relative):
        limit = self.max_distance
        distance = positions[:, :, None] - key_positions[:, None, :]
        row = ops.clip(distance, -limit, limit) + limit
        # Two axes: with one, Keras on torch squeezes the result, which ONNX takes literally.
        row = ops.take(bucket_table(limit, self.buckets)[:, None], row, axis=0)[..., 0]
        scores = 0
        if "c2p" in self.terms:
            scores += self.scores_of_rows(query, self.position_key(relative), row)
        if "p2c" in self.terms:
            transposed = ops.swapaxes(row, 1, 2)
            transposed = self.scores_of_rows(key, self.position_query(relative), transposed)
            scores += ops.swapaxes(transposed, 2, 3)
        return scores * self.scale

    def scores_of_rows(self, content: Tensor, vectors: Tensor, row: Tensor) -> Tensor:
        """Multiply content with the vector of each pair of positions: (B, N, T, S).

        Args:
            content: (B, T, N, K).
            vectors: (R, N K), table of relative positions.
            row: (B|1, T, S) int, row of the table for each pair.
        """
        vectors = self.split_heads(vectors[None])[0]
        products = ops.einsum("btnk,rnk->bntr", content, vectors)
        return take_along_last_axis(products, row[:, None])

    def get_config(self):
        return {
            **super().get_config(),
            "max_distance": self.max_distance,
            "buckets": self.buckets,
            "terms": list(self.terms),
            "share_key": self.share_key,
        }


@serializable
class RelativeEmbedding(keras.layers.Layer):
    """Table of vectors that is returned as a whole.

    Args:
        count: number of vectors, R.
        width: D.
        embeddings_initializer: initializer.

    Call arguments:
        x: any tensor; it is ignored. Returns (R, D).
    """

    def __init__(
        self,
        count: int,
        width: int,
        embeddings_initializer: str | keras.initializers.Initializer = "truncated_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.count = count
        self.width = width
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, input_shape):
        shape = (self.count, self.width)
        self.embeddings = self.add_weight(
            name="embeddings", shape=shape, initializer=self.embeddings_initializer
        )

    def call(self, x):
        return ops.cast(self.embeddings, self.compute_dtype)

    def compute_output_spec(self, x):
        return keras.KerasTensor((self.count, self.width), dtype=self.compute_dtype)

    def get_config(self):
        initializer = keras.initializers.serialize(self.embeddings_initializer)
        sizes = {"count": self.count, "width": self.width}
        return {**super().get_config(), **sizes, "embeddings_initializer": initializer}


@serializable
class MaskedConvolution(CarriesMask, keras.layers.Layer):
    """Convolution over a sequence, restricted to the tokens that the attention mask shows.

    Args:
        kernel_size: width of the window in tokens, an odd number.
        activation: name or function.
        kernel_initializer: initializer of the kernel.

    Call arguments:
        x: (B, S, D).
        attention_mask: bool (B, 1, T|1, S).
        query_index: (T,) int, index in the sequence of each output; None means all S.

    Returns:
        (B, T, D).
    """

    def __init__(
        self,
        kernel_size: int,
        activation: ActivationLike = "tanh",
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.activation = get_activation(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, x_shape):
        width = x_shape[-1]
        shape = (self.kernel_size, width, width)
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=self.kernel_initializer
        )
        self.bias = self.add_weight(name="bias", shape=(width,), initializer="zeros")

    def call(self, x: Tensor, attention_mask: Tensor, query_index: Tensor | None = None) -> Tensor:
        key_index = ops.arange(ops.shape(x)[1], dtype="int32")
        query_index = key_index if query_index is None else ops.cast(query_index, "int32")
        distance = key_index[None, :] - query_index[:, None]
        y = self.bias
        for index in range(self.kernel_size):
            at_offset = ops.equal(distance, index - self.kernel_size // 2)
            visible = ops.logical_and(at_offset, attention_mask[:, 0])
            y += ops.matmul(ops.matmul(ops.cast(visible, x.dtype), x), self.kernel[index])
        return self.activation(y)

    def compute_output_spec(self, x, attention_mask, query_index=None):
        length = x.shape[1] if query_index is None else query_index.shape[0]
        return keras.KerasTensor((x.shape[0], length, x.shape[2]), dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

"""Attention in which content and relative position ask for each other; DeBERTa's layers."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from .._serialization import serializable
from .activations import get_activation
from .attention import MultiHeadAttention
from .masking import CarriesMask

TERMS = ("c2p", "p2c")


@functools.cache
def bucket_table(reach: int, buckets: int) -> np.ndarray:
    """Row of the position table for the distances `-reach ... reach`, int32 (2 reach + 1,).

    Args:
        reach: distance from which on all are alike, in tokens.
        buckets: half of the rows. Distances up to half of `buckets` have one each, and farther
            ones share the rest on a logarithmic scale; 0: one for each distance, up to `reach`.
    """
    distance = np.arange(-reach, reach + 1)
    bucket, span = distance, reach
    if buckets:
        span, near = buckets, buckets // 2
        # In float32, as the models were trained: the ceiling may depend on it.
        share = np.log(np.maximum(np.abs(distance), near) / np.float32(near), dtype="float32")
        share = share / np.log(np.float32((reach - 1) / near)) * np.float32(near - 1)
        far = np.sign(distance) * (near + np.ceil(share).astype("int64"))
        bucket = np.where(np.abs(distance) <= near, distance, far)
    return np.clip(bucket + span, 0, 2 * span - 1).astype("int32")


@serializable
class DisentangledAttention(MultiHeadAttention):
    """`MultiHeadAttention` with scores between content and vectors of relative positions.

    Args:
        reach: farther distances count as this one, in tokens.
        buckets: see `bucket_table`.
        terms: `"c2p"`, queries ask for positions, and `"p2c"`, positions ask for keys.
        share_key: make keys and queries of the positions with the projections of the content,
            instead of own ones (`position_key` and `position_query`).
        **kwargs: of `MultiHeadAttention`.

    Call arguments:
        relative: (2 buckets, D), or (2 reach, D) without buckets; is needed here.
        positions, key_positions: are needed too.

    Source: He et al., DeBERTa, 2020 (arXiv:2006.03654) and DeBERTaV3, 2021 (arXiv:2111.09543).
    """

    def __init__(
        self,
        *args,
        reach: int = 512,
        buckets: int = 0,
        terms: Iterable[str] = TERMS,
        share_key: bool = True,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.reach = reach
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

    def own_bias(self, query, key, where, relative):
        positions, key_positions = where
        distance = positions[:, :, None] - key_positions[:, None, :]
        place = ops.clip(distance, -self.reach, self.reach) + self.reach
        place = ops.take(bucket_table(self.reach, self.buckets), place, axis=0)
        bias = 0
        if "c2p" in self.terms:
            bias += self.look_up(query, self.position_key(relative), place)
        if "p2c" in self.terms:
            turned = ops.swapaxes(place, 1, 2)
            turned = self.look_up(key, self.position_query(relative), turned)
            bias += ops.swapaxes(turned, 2, 3)
        return bias * self.scale

    def look_up(self, content, vectors, place):
        """Products (B, N, T, S) of content (B, T, N, K) with the vectors (R, N K) that stand at
        `place` (B|1, T, S)."""
        vectors = self.split_heads(vectors[None])[0]
        products = ops.einsum("btnk,rnk->bntr", content, vectors)
        shape = (*ops.shape(products)[:3], ops.shape(place)[2])
        place = ops.broadcast_to(place[:, None], shape)  # not every backend stretches a one
        return ops.take_along_axis(products, place, axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "reach": self.reach,
            "buckets": self.buckets,
            "terms": list(self.terms),
            "share_key": self.share_key,
        }


@serializable
class RelativeEmbedding(keras.layers.Layer):
    """A table of vectors that is used as a whole.

    Args:
        count: number of vectors, R.
        width: D.
        embeddings_initializer: initializer.

    Call arguments:
        x: any tensor; it is not read. Returns (R, D).
    """

    def __init__(
        self, count: int, width: int, embeddings_initializer: Any = "truncated_normal", **kwargs
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
    """Convolution over a sequence that looks only where attention may.

    Args:
        kernel_size: tokens that go into one, an odd number, W.
        activation: name or function.
        kernel_initializer: initializer of the kernel.

    Call arguments:
        x: (B, S, D).
        attention_mask: bool (B, 1, T|1, S).
        rows: (T,) int, where to compute; None means all S.

    Returns:
        (B, T, D).
    """

    def __init__(
        self,
        kernel_size: int,
        activation: Any = "tanh",
        kernel_initializer: Any = "glorot_uniform",
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

    def call(self, x, attention_mask, rows=None):
        columns = ops.arange(ops.shape(x)[1], dtype="int32")
        rows = columns if rows is None else ops.cast(rows, "int32")
        distance = columns[None, :] - rows[:, None]
        y = self.bias
        for index in range(self.kernel_size):
            seen = ops.logical_and(distance == index - self.kernel_size // 2, attention_mask[:, 0])
            y += ops.matmul(ops.matmul(ops.cast(seen, x.dtype), x), self.kernel[index])
        return self.activation(y)

    def compute_output_spec(self, x, attention_mask, rows=None):
        length = x.shape[1] if rows is None else rows.shape[0]
        return keras.KerasTensor((x.shape[0], length, x.shape[2]), dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

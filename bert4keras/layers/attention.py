"""Multi-head attention over explicit boolean masks, the same code in training and in decoding."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from .._compat import fused_attention_takes
from .._serialization import revive, serializable
from ..positions import Position


@serializable
class MultiHeadAttention(keras.layers.Layer):
    """Scaled dot-product attention with several heads.

    Sublayers `query`, `key`, `value` and `output` are plain `Dense`, so LoRA, quantization and
    sharding work on them as on any other.

    Args:
        heads: number of heads, N.
        head_size: width of a head, H.
        output_dim: width of the result; None means the width of the input.
        use_bias: whether the projections have a bias.
        attention_dropout: rate on the attention probabilities.
        position: strategy whose `rotate` turns queries and keys.
        kernel_initializer: initializer of the projections.

    Call arguments:
        x: (B, T, D), what asks.
        context: (B, S, D), what is looked at; None means `x`.
        attention_mask: bool, broadcastable to (B, N, T, S), True where attention may look. (Not
            `mask`: Keras gives an argument of that name a meaning of its own.)
        bias: finite float, broadcastable to (B, N, T, S), added to the scores.
        positions: (B|1, T) int, only for a `position` that rotates.
        cache: pair of keys and values (B, S, N, H) from earlier steps; the new ones are written
            at row `start` and the attention runs over all S. The result is then `(x, cache)`.
        start: int scalar, first row of the step.

    Returns:
        (B, T, D), or `((B, T, D), cache)` with a cache.

    Source: Vaswani et al., Attention Is All You Need, 2017 (arXiv:1706.03762).
    """

    def __init__(
        self,
        heads: int,
        head_size: int,
        output_dim: int | None = None,
        use_bias: bool = True,
        attention_dropout: float = 0.0,
        position: Position | None = None,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.heads = heads
        self.head_size = head_size
        self.output_dim = output_dim
        self.use_bias = use_bias
        self.attention_dropout = attention_dropout
        self.position = revive(position) or Position()
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed_generator = keras.random.SeedGenerator()

    def projection(self, name: str, units: int) -> keras.layers.Dense:
        """A `Dense` under this layer's options."""
        return keras.layers.Dense(
            units,
            use_bias=self.use_bias,
            # A copy: one initializer object drawn from twice gives the same numbers twice.
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, x_shape, context_shape=None):
        width = self.heads * self.head_size
        context_shape = context_shape or x_shape
        self.query = self.projection("query", width)
        self.key = self.projection("key", width)
        self.value = self.projection("value", width)
        # `output` is a property of every Keras layer, so the attribute needs another name.
        self.output_projection = self.projection("output", self.output_dim or x_shape[-1])
        self.query.build(x_shape)
        self.key.build(context_shape)
        self.value.build(context_shape)
        self.output_projection.build((*x_shape[:-1], width))

    def split_heads(self, x):
        batch, length = ops.shape(x)[:2]
        return ops.reshape(x, (batch, length, self.heads, self.head_size))

    def call(
        self,
        x,
        context=None,
        attention_mask=None,
        bias=None,
        positions=None,
        cache=None,
        start=None,
        training=None,
    ):
        context = x if context is None else context
        query = self.split_heads(self.query(x))
        key = self.split_heads(self.key(context))
        value = self.split_heads(self.value(context))
        if positions is not None:
            query, key = self.position.rotate(query, key, positions)
        if cache is not None:
            key = ops.slice_update(cache[0], (0, start, 0, 0), ops.cast(key, cache[0].dtype))
            value = ops.slice_update(cache[1], (0, start, 0, 0), ops.cast(value, cache[1].dtype))
        x = self.attend(query, key, value, attention_mask, bias, training)
        batch, length = ops.shape(x)[:2]
        x = self.output_projection(ops.reshape(x, (batch, length, self.heads * self.head_size)))
        return x if cache is None else (x, (key, value))

    def attend(self, query, key, value, mask=None, bias=None, training=None):
        """Mix values by the similarity of queries and keys.

        Args:
            query: (B, T, N, H).
            key, value: (B, S, N, H).
            mask, bias, training: see the class.

        Returns:
            (B, T, N, H).
        """
        scale = 1 / math.sqrt(self.head_size)
        if bias is not None and mask is not None:
            # Keras' fused attention takes one of the two on torch.
            bias, mask = ops.where(mask, ops.cast(bias, query.dtype), lowest(query.dtype)), None
        dropped = training and self.attention_dropout
        if not dropped and fused_attention_takes(keras.backend.standardize_dtype(query.dtype)):
            return ops.dot_product_attention(query, key, value, bias=bias, mask=mask, scale=scale)
        scores = ops.einsum("btnh,bsnh->bnts", query * scale, key)
        if bias is not None:
            scores = scores + bias
        if mask is not None:
            scores = ops.where(mask, scores, lowest(scores.dtype))
        probabilities = ops.cast(ops.softmax(ops.cast(scores, "float32")), value.dtype)
        if dropped:
            probabilities = keras.random.dropout(
                probabilities, self.attention_dropout, seed=self.seed_generator
            )
        return ops.einsum("bnts,bsnh->btnh", probabilities, value)

    def compute_output_spec(self, x, *args, **kwargs):
        shape = (*x.shape[:-1], self.output_dim or x.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.heads,
            "head_size": self.head_size,
            "output_dim": self.output_dim,
            "use_bias": self.use_bias,
            "attention_dropout": self.attention_dropout,
            "position": keras.saving.serialize_keras_object(self.position),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def lowest(dtype: Any) -> float:
    """A score that softmax turns into 0, finite in `dtype` and after adding a few of them."""
    return -3e4 if keras.backend.standardize_dtype(dtype) == "float16" else -1e9

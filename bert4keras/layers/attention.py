"""Multi-head attention over explicit boolean masks, the same code in training and in decoding."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from .._compat import DrawnSeed, fused_attention_takes
from .._scores import lowest
from .._serialization import revive, serializable
from ..positions import Position
from .masking import CarriesMask


@serializable
class MultiHeadAttention(CarriesMask, keras.layers.Layer):
    """Scaled dot-product attention with several heads.

    Sublayers `query`, `key`, `value` and `output` are plain `Dense` (the last one is the attribute
    `output_projection`), so LoRA, quantization and sharding work on them as on any other.

    Args:
        heads: number of heads, N.
        head_size: width of a head, H.
        output_dim: width of the result; None means the width of the input.
        key_size: width of queries and keys; None means `head_size`.
        use_bias: whether the projections have a bias.
        attention_dropout: rate on the attention probabilities.
        scaled: whether scores are divided by the root of `key_size` (T5 does not).
        position: strategy whose `rotate` turns queries and keys.
        return_scores: also return the scores, to be added to those of the next layer.
        remat: compute the mixing again in the backward pass instead of keeping its (B, N, T, S).
        kernel_initializer: initializer of the projections.

    Call arguments:
        x: (B, T, D), what asks.
        context: (B, S, D), what is looked at; None means `x`.
        attention_mask: bool, broadcastable to (B, N, T, S), True where attention may look. (Not
            `mask`: Keras gives an argument of that name a meaning of its own.)
        bias: finite float, broadcastable to (B, N, T, S), added to the scores.
        positions: (B|1, T) int, only for a layer that needs them.
        key_positions: (B|1, S) int, likewise.
        scores: (B, N, T, S), those of an earlier layer, added to these.
        relative: (R, D), vectors of relative positions, for the layers that use them.
        cache: pair of keys and values (B, N, S, H) from earlier steps; the new ones are written
            at row `start` and the attention runs over all S.
        start: int scalar, first row of the step.

    Returns:
        (B, T, D); a tuple of that, with `return_scores` the scores, and with a cache the new one.

    Source: Vaswani et al., Attention Is All You Need, 2017 (arXiv:1706.03762).
    """

    def __init__(
        self,
        heads: int,
        head_size: int,
        output_dim: int | None = None,
        key_size: int | None = None,
        use_bias: bool = True,
        attention_dropout: float = 0.0,
        scaled: bool = True,
        position: Position | None = None,
        return_scores: bool = False,
        remat: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.heads = heads
        self.head_size = head_size
        self.output_dim = output_dim
        self.key_size = key_size or head_size
        self.use_bias = use_bias
        self.attention_dropout = attention_dropout
        self.scaled = scaled
        self.position = revive(position) or Position()
        self.return_scores = return_scores
        self.remat = remat
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed_generator = keras.random.SeedGenerator()

    @property
    def scale(self) -> float:
        """Factor on the scores."""
        return 1 / math.sqrt(self.key_size) if self.scaled else 1.0

    @property
    def fusable(self) -> bool:
        """Whether the mixing may run in one fused operation, which shows neither scores nor
        probabilities."""
        own, base = type(self), MultiHeadAttention
        plain = own.combine is base.combine and own.normalize is base.normalize
        return plain and not self.return_scores

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
        self.query = self.projection("query", self.heads * self.key_size)
        self.key = self.projection("key", self.heads * self.key_size)
        self.value = self.projection("value", width)
        # `output` is a property of every Keras layer, so the attribute needs another name.
        self.output_projection = self.projection("output", self.output_dim or x_shape[-1])
        self.query.build(x_shape)
        self.key.build(context_shape)
        self.value.build(context_shape)
        self.output_projection.build((*x_shape[:-1], width))

    def split_heads(self, x):
        batch, length, width = ops.shape(x)
        return ops.reshape(x, (batch, length, self.heads, width // self.heads))

    def call(
        self,
        x,
        context=None,
        attention_mask=None,
        bias=None,
        positions=None,
        key_positions=None,
        scores=None,
        relative=None,
        cache=None,
        start=None,
        training=None,
    ):
        context = x if context is None else context
        query, key, value, gate = self.project(x, context)
        if self.position.rotates:
            query, key = self.position.rotate(query, key, positions)
        if cache is not None:
            # Kept with the heads outside: read as they lie, at every step.
            new = (ops.transpose(tensor, (0, 2, 1, 3)) for tensor in (key, value))
            cache = tuple(
                ops.slice_update(old, (0, 0, start, 0), ops.cast(tensor, old.dtype))
                for old, tensor in zip(cache, new, strict=True)
            )
            key, value = (ops.transpose(tensor, (0, 2, 1, 3)) for tensor in cache)
        if scores is not None:
            bias = scores if bias is None else bias + scores
        where = (positions, key_positions)
        x = self.mix(query, key, value, bias, relative, attention_mask, where, training)
        x, scores = x if self.return_scores else (x, None)
        batch, length = ops.shape(x)[:2]
        x = ops.reshape(x, (batch, length, self.heads * self.head_size))
        x = self.output_projection(x if gate is None else gate * x)
        extras = [extra for extra in (scores, cache) if extra is not None]
        return (x, *extras) if extras else x

    def project(self, x, context) -> tuple[Any, Any, Any, Any | None]:
        """Queries (B, T, N, K), keys (B, S, N, K), values (B, S, N, H), and for a subclass with
        gates a factor (B, T, N H) on what they are mixed into."""
        query = self.split_heads(self.query(x))
        return query, *(self.split_heads(f(context)) for f in (self.key, self.value)), None

    def mix(self, query, key, value, bias, relative, mask, where, training):
        """`attend` with all terms of the bias, and with `remat` recomputed in the backward pass."""
        rate = self.attention_dropout if training else 0
        # Drawn out here, so that what is recomputed drops the same probabilities.
        seed = DrawnSeed(self.seed_generator.next()) if rate else None

        def function(query, key, value, bias=None, relative=None):
            own = self.own_bias(query, key, where, relative)
            if own is not None:
                bias = own if bias is None else bias + own
            return self.attend(query, key, value, mask, bias, where, rate, seed)

        inputs = {"query": query, "key": key, "value": value, "bias": bias, "relative": relative}
        if not self.remat:
            return function(**inputs)
        # Positional, and nothing differentiable in the closure: TensorFlow would lose its gradient.
        names = [name for name, tensor in inputs.items() if tensor is not None]
        positional = keras.remat(lambda *args: function(**dict(zip(names, args, strict=True))))
        return positional(*(inputs[name] for name in names))

    def own_bias(self, query, key, where, relative) -> Any | None:
        """Scores that depend on what is asked and where, for a subclass with relative positions.

        Args:
            query: (B, T, N, K).
            key: (B, S, N, K).
            where: positions (B|1, T) and key positions (B|1, S), int.
            relative: see the class.

        Returns:
            (B, N, T, S), finite, or None.
        """
        return None

    def normalize(self, scores, mask):
        """Probabilities, float32, of scores (B, N, T, S)."""
        seen = scores if mask is None else ops.where(mask, scores, lowest(scores.dtype))
        if seen.shape[-1] == 1:  # one token attends to itself; Keras would warn of such a softmax
            return ops.ones_like(seen, dtype="float32")
        return ops.softmax(ops.cast(seen, "float32"))

    def combine(self, probabilities, value, where):
        """Mean of the values by (B, N, T, S) probabilities: (B, T, N, H)."""
        return ops.einsum("bnts,bsnh->btnh", probabilities, value)

    def attend(self, query, key, value, mask, bias, where, rate, seed):
        """Mix values by the similarity of queries and keys.

        Args:
            query: (B, T, N, K).
            key: (B, S, N, K).
            value: (B, S, N, H).
            mask, bias: see the class.
            where: see `own_bias`.
            rate, seed: of the dropout on the probabilities.

        Returns:
            (B, T, N, H), and the scores (B, N, T, S) with `return_scores`.
        """
        dtype = keras.backend.standardize_dtype(query.dtype)
        if self.fusable and not rate and fused_attention_takes(dtype):
            if bias is not None and mask is not None:
                # Keras' fused attention takes one of the two on torch.
                bias, mask = ops.where(mask, ops.cast(bias, dtype), lowest(dtype)), None
            return ops.dot_product_attention(
                query, key, value, bias=bias, mask=mask, scale=self.scale
            )
        scores = ops.einsum("btnh,bsnh->bnts", query * self.scale, key)
        if bias is not None:
            scores = scores + ops.cast(bias, scores.dtype)
        probabilities = ops.cast(self.normalize(scores, mask), value.dtype)
        if rate:
            probabilities = keras.random.dropout(probabilities, rate, seed=seed)
        x = self.combine(probabilities, value, where)
        return (x, scores) if self.return_scores else x

    def empty_cache(self, batch: int, length: int) -> tuple[Any, Any]:
        """Zeroed keys (B, N, S, K) and values (B, N, S, H) for decoding."""
        shape = (batch, self.heads, length)
        return tuple(
            ops.zeros((*shape, size), self.compute_dtype)
            for size in (self.key_size, self.head_size)
        )

    def compute_output_spec(self, x, context=None, *args, **kwargs):
        shape = (*x.shape[:-1], self.output_dim or x.shape[-1])
        spec = keras.KerasTensor(shape, dtype=self.compute_dtype)
        if not self.return_scores:
            return spec
        keys = x if context is None else context
        shape = (x.shape[0], self.heads, x.shape[1], keys.shape[1])
        return spec, keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.heads,
            "head_size": self.head_size,
            "output_dim": self.output_dim,
            "key_size": self.key_size,
            "use_bias": self.use_bias,
            "attention_dropout": self.attention_dropout,
            "scaled": self.scaled,
            "position": keras.saving.serialize_keras_object(self.position),
            "return_scores": self.return_scores,
            "remat": self.remat,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

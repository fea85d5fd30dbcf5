"""Multi-head attention over explicit boolean masks, the same code in training and in decoding.

Legend: B batch, T query length, S key length, N heads, H head size, K key size, D hidden size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from .._compat import fused_attention, has_fused_attention, repeatable_seed, write_rows
from .._scores import lowest
from .._serialization import revive, serializable
from .._types import KeyValues, Shape, Tensor
from ..masks.bands import Band
from ..positions import Position
from .banded_attention import banded_values, is_banded
from .masking import CarriesMask
from .projection import HasProjections


class AttentionOutput(NamedTuple):
    """Result of an attention layer that was asked for more than its output.

    The default of `scores` and `cache` is an empty tuple and not None: Keras flattens results to
    tensors, and None would be one of them.

    Attributes:
        output: (B, T, D).
        scores: (B, N, T, S) before the softmax, with `return_scores`.
        cache: keys and values of all positions so far, if a cache was given.
    """

    output: Tensor
    scores: Tensor | tuple[()] = ()
    cache: KeyValues | tuple[()] = ()


class Projections(NamedTuple):
    """Queries (B, T, N, K), keys (B, S, N, K), values (B, S, N, H), and perhaps a gate (B, T, N H).

    The gate multiplies the weighted values.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    gate: Tensor | None = None


@serializable
class MultiHeadAttention(HasProjections, CarriesMask, keras.layers.Layer):
    """Scaled dot-product attention with several heads.

    Sublayers `query`, `key`, `value` and `output` are plain `Dense` (the last one is the attribute
    `output_projection`), so LoRA, quantization and sharding work on them as on any other.

    A subclass overrides `project_qkv`, `position_scores`, `normalize` or `weighted_values`.

    Args:
        heads: number of heads, N.
        head_size: width of a head, H.
        output_dim: width of the output; None means the width of the input.
        key_size: width of a head's queries and keys, K; None means `head_size`.
        use_bias: whether the projections have a bias.
        attention_dropout: rate on the attention probabilities.
        scaled: divide scores by the square root of `key_size` (T5 does not).
        position: strategy whose `rotate` is applied to queries and keys.
        return_scores: also return the scores, to be added to those of the next layer.
        remat: recompute scores and probabilities in the backward pass instead of keeping them.
        bands: `Mask.bands` of a mask that is computed in bands, see `banded_attention`.
        kernel_initializer: initializer of the projections.

    Class attributes:
        fusable: True if one fused operation may compute the attention, without scores and
            probabilities. False where a subclass overrides `normalize` or `weighted_values`.
        self_attention_only: True if keys and values cannot come from another tensor than `x`.

    Call arguments:
        x: queries (B, T, D).
        context: source of keys and values (B, S, D); defaults to `x`.
        attention_mask: bool, broadcastable to (B, N, T, S), True for visible keys; or in bands,
            (B, 1, 1, T, c). (Not `mask`: Keras itself fills an argument of that name.)
        bias: finite float, broadcastable to (B, N, T, S), added to the scores.
        positions: position ids of the queries (B|1, T), for layers that need them.
        key_positions: position ids of the keys (B|1, S), likewise.
        scores: (B, N, T, S) of an earlier layer, added to the scores.
        relative: (R, D), vectors of relative positions, for layers that need them.
        cache: keys (B, N, S, K) and values (B, N, S, H) of earlier steps. The new ones are written
            from row `cache_index` on, and queries attend to all S.
        cache_index: int scalar, first row of this step.

    Returns:
        (B, T, D); with `return_scores` or a cache an `AttentionOutput`.

    Source: Vaswani et al., Attention Is All You Need, 2017 (arXiv:1706.03762).
    """

    fusable: ClassVar[bool] = True
    self_attention_only: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if {"normalize", "weighted_values"} & vars(cls).keys():
            cls.fusable = False

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
        bands: Sequence[Sequence[int | None]] = (),
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
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
        self.bands = tuple(Band(*band) for band in bands)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed_generator = keras.random.SeedGenerator()

    @classmethod
    def kernel_shapes(
        cls, width: int, *, heads: int, head_size: int, key_size: int, units: int
    ) -> dict[str, tuple[int, int]]:
        """Return the shapes of the projections' kernels by name, before a layer is created.

        Args:
            width: D, of input and output.
            heads, head_size, key_size: see the class.
            units: width of gate and values in a `GatedAttentionUnit`, ignored by others.
        """
        keys, values = (width, heads * key_size), (width, heads * head_size)
        return {"query": keys, "key": keys, "value": values, "output": values[::-1]}

    @property
    def scale(self) -> float:
        """Factor on the scores."""
        return 1 / math.sqrt(self.key_size) if self.scaled else 1.0

    def build(self, x_shape: Shape, context_shape: Shape | None = None) -> None:
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

    def split_heads(self, x: Tensor) -> Tensor:
        """Split the last axis into heads: (B, T, N H) to (B, T, N, H)."""
        batch, length, width = ops.shape(x)
        return ops.reshape(x, (batch, length, self.heads, width // self.heads))

    def call(
        self,
        x: Tensor,
        context: Tensor | None = None,
        attention_mask: Tensor | None = None,
        bias: Tensor | None = None,
        positions: Tensor | None = None,
        key_positions: Tensor | None = None,
        scores: Tensor | None = None,
        relative: Tensor | None = None,
        cache: KeyValues | None = None,
        cache_index: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor | AttentionOutput:
        query, key, value, gate = self.project_qkv(x, x if context is None else context)
        if self.position.rotates:
            query, key = self.position.rotate(query, key, positions)
        if cache is not None:
            cache = _updated_cache(cache, key, value, cache_index)
            key, value = (ops.transpose(tensor, (0, 2, 1, 3)) for tensor in cache)
        rate = self.attention_dropout if training else 0.0
        attend: Callable[..., AttentionOutput] = self.attend
        if is_banded(attention_mask):
            attend = functools.partial(self.attend_in_bands, in_parts=not training)
        attend = functools.partial(
            attend,
            mask=attention_mask,
            positions=positions,
            key_positions=key_positions,
            dropout=rate,
            # Drawn here, so that a recomputation drops the same probabilities.
            seed=repeatable_seed(self.seed_generator) if rate else None,
        )
        tensors = {
            "query": query,
            "key": key,
            "value": value,
            "bias": _total(bias, scores),
            "relative": relative,
        }
        found = _recomputed(attend, tensors) if self.remat else attend(**tensors)
        batch, length = ops.shape(found.output)[:2]
        values = ops.reshape(found.output, (batch, length, self.heads * self.head_size))
        output = self.output_projection(values if gate is None else gate * values)
        if cache is None and not self.return_scores:
            return output
        return AttentionOutput(output, found.scores, () if cache is None else cache)

    def project_qkv(self, x: Tensor, context: Tensor) -> Projections:
        """Project x (B, T, D) to queries, and the context (B, S, D) to keys and values."""
        query = self.split_heads(self.query(x))
        return Projections(query, *(self.split_heads(f(context)) for f in (self.key, self.value)))

    def attend(
        self,
        *,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        bias: Tensor | None,
        positions: Tensor | None,
        key_positions: Tensor | None,
        relative: Tensor | None,
        dropout: float,
        seed: keras.random.SeedGenerator | None,
    ) -> AttentionOutput:
        """Compute the attention itself: scores, probabilities, weighted values.

        Args:
            query: (B, T, N, K).
            key: (B, S, N, K).
            value: (B, S, N, H).
            mask, bias, positions, key_positions, relative: see the class.
            dropout, seed: of the dropout on the probabilities.

        Returns:
            Weighted values (B, T, N, H), and with `return_scores` the scores (B, N, T, S).
        """
        places = {"positions": positions, "key_positions": key_positions}
        own = self.position_scores(query=query, key=key, relative=relative, **places)
        bias, dtype = _total(bias, own), keras.backend.standardize_dtype(query.dtype)
        if self.fusable and not self.return_scores and not dropout and has_fused_attention():
            if bias is not None or mask is not None:
                bias = ops.cast(0.0 if bias is None else bias, dtype)
                bias = bias if mask is None else ops.where(mask, bias, lowest(dtype))
            return AttentionOutput(fused_attention(query, key, value, bias, self.scale))
        scores = self.content_scores(query, key, bias)
        probabilities = ops.cast(self.normalize(scores, mask), value.dtype)
        if dropout:
            probabilities = keras.random.dropout(probabilities, dropout, seed=seed)
        values = self.weighted_values(probabilities=probabilities, value=value, **places)
        return AttentionOutput(values, scores if self.return_scores else ())

    def attend_in_bands(self, **arguments: Any) -> AttentionOutput:
        """Compute the same as `attend`, with its `arguments`, in bands; see `banded_values`."""
        return AttentionOutput(banded_values(self, **arguments))

    def content_scores(self, query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
        """Return scaled products of queries and keys plus the bias, (B, N, T, S)."""
        query, key = ops.transpose(query, (0, 2, 1, 3)), ops.transpose(key, (0, 2, 3, 1))
        scores = ops.matmul(query, key) * self.scale
        return scores if bias is None else scores + ops.cast(bias, scores.dtype)

    def position_scores(
        self,
        *,
        query: Tensor,
        key: Tensor,
        positions: Tensor | None,
        key_positions: Tensor | None,
        relative: Tensor | None,
    ) -> Tensor | None:
        """Return scores of content against relative positions, for subclasses that have them.

        Args:
            query: (B, T, N, K).
            key: (B, S, N, K).
            positions, key_positions, relative: see the class.

        Returns:
            (B, N, T, S), finite, or None.
        """
        return None

    def normalize(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """Turn scores (B, N, T, S) into probabilities over the last axis, float32."""
        scores = ops.cast(scores, "float32")
        if mask is not None:  # a sum is faster than a choice between two tensors
            scores = scores + ops.where(mask, 0.0, lowest("float32"))
        if scores.shape[-1] == 1:  # Keras warns of a softmax over a single number
            return ops.ones_like(scores)
        return ops.softmax(scores)

    def weighted_values(
        self,
        *,
        probabilities: Tensor,
        value: Tensor,
        positions: Tensor | None,
        key_positions: Tensor | None,
    ) -> Tensor:
        """Average the values (B, S, N, H) by probabilities (B, N, T, S): (B, T, N, H)."""
        values = ops.matmul(probabilities, ops.transpose(value, (0, 2, 1, 3)))
        return ops.transpose(values, (0, 2, 1, 3))

    def empty_cache(self, batch: int, length: int) -> KeyValues:
        """Return zeroed keys (B, N, S, K) and values (B, N, S, H) for decoding."""
        shape = (batch, self.heads, length)
        sizes = (self.key_size, self.head_size)
        key, value = (ops.zeros((*shape, size), self.compute_dtype) for size in sizes)
        return key, value

    def compute_output_spec(self, x, context=None, *args, **kwargs):
        shape = (*x.shape[:-1], self.output_dim or x.shape[-1])
        output = keras.KerasTensor(shape, dtype=self.compute_dtype)
        if not self.return_scores:
            return output
        keys = x if context is None else context
        shape = (x.shape[0], self.heads, x.shape[1], keys.shape[1])
        return AttentionOutput(output, keras.KerasTensor(shape, dtype=self.compute_dtype))

    def get_config(self) -> dict[str, Any]:
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
            "bands": [list(band) for band in self.bands],
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def _total(left: Tensor | None, right: Tensor | None) -> Tensor | None:
    """Add two terms of the scores, each of which may be missing."""
    if left is None or right is None:
        return right if left is None else left
    return left + right


def _recomputed(function: Callable[..., Any], tensors: Mapping[str, Tensor | None]) -> Any:
    """Call `function(**tensors)` now, and again in the backward pass to save memory."""
    given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    missing = dict.fromkeys(tensors.keys() - given.keys())

    def by_position(*args: Tensor) -> Any:
        return function(**dict(zip(given, args, strict=True)), **missing)

    # By position, with nothing differentiable in the closure: TensorFlow would lose its gradient.
    return keras.remat(by_position)(*given.values())


def _updated_cache(cache: KeyValues, key: Tensor, value: Tensor, index: Tensor | None) -> KeyValues:
    """Write keys and values (B, T, N, H) of this step into a cache (B, N, S, H), from row `index`.

    The cache keeps heads before rows, the order in which every later step reads it.
    """
    key, value = (ops.transpose(tensor, (0, 2, 1, 3)) for tensor in (key, value))
    return write_rows(cache[0], key, index), write_rows(cache[1], value, index)

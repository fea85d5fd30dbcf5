"""Transformer block: sublayers (attention, feed-forward) in a residual layout.

A residual layout is the order of sublayer, dropout, residual sum and norm. A block of another shape
overrides `Transformer.apply_block` and calls `self_attention` and `feed_forward` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import keras

from .._types import KeyValues, Tensor
from ..layers import CrossAttention, MultiHeadAttention
from ..layers.attention import AttentionOutput

if TYPE_CHECKING:
    from .context import Context
    from .transformer import Transformer


_Sublayer: TypeAlias = Callable[[Tensor], Tensor]


class ResidualLayout(Protocol):
    """Function that applies one sublayer of a block to x (B, T, D).

    Args:
        transformer: the assembler.
        x: (B, T, D).
        name: layer name of the sublayer, such as `Transformer-0-FeedForward`; the names of dropout,
            sum and norm begin with it. Norms of the same name share weights.
        sublayer: function (B, T, D) -> (B, T, D).
        context: of the forward pass.
    """

    def __call__(
        self, transformer: Transformer, x: Tensor, name: str, sublayer: _Sublayer, context: Context
    ) -> Tensor: ...


def post_norm(
    transformer: Transformer, x: Tensor, name: str, sublayer: _Sublayer, context: Context
) -> Tensor:
    """`norm(x + dropout(sublayer(x)))`, the layout of the original Transformer and of BERT."""
    return transformer.norm(residual(transformer, x, name, sublayer(x)), f"{name}-Norm", context)


def pre_norm(
    transformer: Transformer, x: Tensor, name: str, sublayer: _Sublayer, context: Context
) -> Tensor:
    """`x + dropout(sublayer(norm(x)))`, the layout of GPT-2 and T5."""
    return residual(transformer, x, name, sublayer(transformer.norm(x, f"{name}-Norm", context)))


def residual(transformer: Transformer, x: Tensor, name: str, y: Tensor) -> Tensor:
    """`x + dropout(y)`."""
    y = transformer.dropout(y, f"{name}-Dropout")
    return transformer.apply([x, y], keras.layers.Add, name=f"{name}-Add")


def block(transformer: Transformer, x: Tensor, index: int, context: Context) -> Tensor:
    """Apply one Transformer block.

    Args:
        transformer: the assembler.
        x: (B, T, D).
        index: number of the block, from 0; part of the layer names.
        context: of the forward pass.

    Returns:
        (B, T, D).
    """

    def apply(x: Tensor, part: str, sublayer: Callable[..., Tensor]) -> Tensor:
        name = transformer.layer_name(index, part)

        def named(x: Tensor) -> Tensor:
            return sublayer(transformer, x, name, index, context)

        return transformer.residual_layout(transformer, x, name, named, context)

    x = apply(x, transformer.attention_name, self_attention)
    if context.cross is not None:
        x = apply(x, "MultiHeadCrossAttention", _cross_attention)
    if transformer.feed_forward_layer is not None:
        x = apply(x, "FeedForward", feed_forward)
    return x


def self_attention(
    transformer: Transformer, x: Tensor, name: str, index: int, context: Context
) -> Tensor:
    """Apply self-attention, with the cache of a decoding step if there is one.

    Args:
        transformer: the assembler.
        x: (B, T, D).
        name: layer name.
        index: number of the block, under which its keys and values are kept.
        context: of the forward pass.

    Returns:
        (B, T, D), without residual sum, dropout and norm.
    """
    step, collected = context.step, context.collected
    arguments: dict[str, Any] = {}
    if context.query_stream:
        arguments["context"] = collected.content_states[index]
    else:
        collected.content_states[index] = x
    if step is not None:
        arguments |= {"cache": step.cache[index], "cache_index": step.cache_index}
    result = _attend(transformer, x, transformer.attention_layer, name, context, arguments)
    if step is not None and result.cache:
        step.cache[index] = result.cache
    return result.output


def _cross_attention(
    transformer: Transformer, x: Tensor, name: str, index: int, context: Context
) -> Tensor:
    """Apply cross-attention; the cache of a decoding step keeps keys and values of the source."""
    cross = context.cross
    assert cross is not None
    source: Tensor | KeyValues | None = cross.source
    if context.step is not None:
        cache, key = context.step.cache, transformer.depth + index
        if key not in cache:
            layer = transformer.layers[transformer.full_name(name)]
            cache[key] = layer.keys_and_values(source)
        source = cache[key]
    arguments = {"context": source}
    return _attend(transformer, x, CrossAttention, name, cross, arguments).output


def _attend(
    transformer: Transformer,
    x: Tensor,
    layer: type[MultiHeadAttention],
    name: str,
    context: Context,
    arguments: Mapping[str, Any],
) -> AttentionOutput:
    """Call an attention layer, and keep its scores if the next block adds them."""
    result = transformer.apply(
        x,
        layer,
        name=name,
        arguments={**transformer.attention_arguments(context), **arguments},
        **transformer.attention_options(),
    )
    if not isinstance(result, AttentionOutput):
        return AttentionOutput(result)
    if not isinstance(result.scores, tuple):
        context.collected.scores = result.scores
    return result


def feed_forward(
    transformer: Transformer, x: Tensor, name: str, index: int, context: Context
) -> Tensor:
    """Apply the feed-forward layer; arguments and result as of `self_attention`."""
    layer = transformer.feed_forward_layer
    assert layer is not None
    return transformer.apply(x, layer, name=name, **transformer.feed_forward_options())

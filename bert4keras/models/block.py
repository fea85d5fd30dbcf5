"""The wiring of a block, written once: a sub-block, dropout, the residual sum and the norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from ..layers import CrossAttention


def post_norm(
    transformer: Any, x: Any, name: str, function: Callable[[Any], Any], context: Any
) -> Any:
    """`norm(x + dropout(function(x)))`, the order of the original Transformer and of BERT."""
    return transformer.norm(residual(transformer, x, name, function(x)), f"{name}-Norm", context)


def pre_norm(
    transformer: Any, x: Any, name: str, function: Callable[[Any], Any], context: Any
) -> Any:
    """`x + dropout(function(norm(x)))`, the order of GPT-2 and T5."""
    return residual(transformer, x, name, function(transformer.norm(x, f"{name}-Norm", context)))


def residual(transformer: Any, x: Any, name: str, y: Any) -> Any:
    """`x + dropout(y)`."""
    y = transformer.dropout(y, f"{name}-Dropout")
    return transformer.apply([x, y], keras.layers.Add, name=f"{name}-Add")


def attend(
    transformer: Any, x: Any, layer: type, name: str, context: Any, arguments: Mapping[str, Any]
) -> list[Any]:
    """Call an attention layer: (B, T, D), then what else it returns."""
    result = transformer.apply(
        x,
        layer,
        name=name,
        arguments={**transformer.attention_arguments(context), **arguments},
        **transformer.attention_options(),
    )
    return list(result) if isinstance(result, (list, tuple)) else [result]


def attention(transformer: Any, x: Any, name: str, index: int, context: Any) -> Any:
    """Self-attention of this name, with a cache where the context has one."""
    arguments = {}
    if context.strict:
        arguments["context"] = context.attended[index]
    else:
        context.attended[index] = x
    if context.cache is not None:
        arguments.update(cache=context.cache[index], start=context.start)
    x, *extras = attend(transformer, x, transformer.attention_layer, name, context, arguments)
    if context.cache is not None:
        context.cache[index] = extras.pop()
    if extras:
        context.scores = extras.pop()
    return x


def cross_attention(transformer: Any, x: Any, name: str, index: int, context: Any) -> Any:
    """Attention of this name to the source; a cache keeps the source's keys and values."""
    cross, source = context.cross, context.cross.source
    if context.cache is not None:
        key = transformer.depth + index
        if key not in context.cache:
            layer = transformer.layers[transformer.full_name(name)]
            context.cache[key] = layer.keys_and_values(source)
        source = context.cache[key]
    x, *scores = attend(transformer, x, CrossAttention, name, cross, {"context": source})
    if scores:
        cross.scores = scores.pop()
    return x


def feed_forward(transformer: Any, x: Any, name: str) -> Any:
    """The position-wise sub-block of this name."""
    return transformer.apply(
        x, transformer.feed_forward_layer, name=name, **transformer.feed_forward_options()
    )


def block(transformer: Any, x: Any, index: int, context: Any) -> Any:
    """One Transformer block.

    Args:
        transformer: the assembler.
        x: (B, T, D).
        index: number of the block, from 0; part of the layer names.
        context: see `Context`.

    Returns:
        (B, T, D).
    """
    wiring = transformer.wiring
    name = transformer.layer_name(index, transformer.attention_name)
    x = wiring(
        transformer, x, name, lambda x: attention(transformer, x, name, index, context), context
    )
    if context.cross is not None:
        other = transformer.layer_name(index, "MultiHeadCrossAttention")
        x = wiring(
            transformer,
            x,
            other,
            lambda x: cross_attention(transformer, x, other, index, context),
            context,
        )
    name = transformer.layer_name(index, "FeedForward")
    return wiring(transformer, x, name, lambda x: feed_forward(transformer, x, name), context)

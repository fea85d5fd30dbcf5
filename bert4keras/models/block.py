"""The wiring of a block, written once: a sub-block, dropout, the residual sum and the norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from ..layers import FeedForward, MultiHeadAttention


def post_norm(transformer: Any, x: Any, name: str, function: Callable[[Any], Any]) -> Any:
    """`norm(x + dropout(function(x)))`, the order of the original Transformer and of BERT."""
    y = transformer.dropout(function(x), f"{name}-Dropout")
    x = transformer.apply([x, y], keras.layers.Add, name=f"{name}-Add")
    return transformer.norm(x, f"{name}-Norm")


def attention(transformer: Any, x: Any, name: str, context: Any) -> Any:
    """Self-attention of this name, with a cache where the context has one."""
    config, position = transformer.config, transformer.position
    arguments = {"attention_mask": context.mask}
    if context.bias is not None:
        arguments["bias"] = context.bias
    if position.rotates:
        arguments["positions"] = context.positions
    key = f"{transformer.prefix}{name}"
    if context.cache is not None:
        arguments.update(cache=context.cache[key], start=context.start)
    x = transformer.apply(
        x,
        MultiHeadAttention,
        name=name,
        arguments=arguments,
        heads=config.num_attention_heads,
        head_size=config.attention_head_size,
        attention_dropout=config.attention_dropout_rate,
        position=position if position.rotates else None,
        kernel_initializer=transformer.initializer,
    )
    if context.cache is not None:
        x, context.cache[key] = x
    return x


def feed_forward(transformer: Any, x: Any, name: str) -> Any:
    """The position-wise sub-block of this name."""
    return transformer.apply(
        x,
        FeedForward,
        name=name,
        units=transformer.config.intermediate_size,
        activation=transformer.config.hidden_act,
        kernel_initializer=transformer.initializer,
    )


def block(transformer: Any, x: Any, index: int, context: Any, wiring: Callable = post_norm) -> Any:
    """One Transformer block.

    Args:
        transformer: the assembler.
        x: (B, T, D).
        index: number of the block, from 0; part of the layer names.
        context: see `Context`.
        wiring: where norm and residual sit, such as `post_norm`.

    Returns:
        (B, T, D).
    """
    name = f"Transformer-{index}-MultiHeadSelfAttention"
    x = wiring(transformer, x, name, lambda x: attention(transformer, x, name, context))
    name = f"Transformer-{index}-FeedForward"
    return wiring(transformer, x, name, lambda x: feed_forward(transformer, x, name))

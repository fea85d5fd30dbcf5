"""Attention of a decoder to what an encoder made."""

from __future__ import annotations

from typing import Any

from .._serialization import serializable
from .attention import MultiHeadAttention


@serializable
class CrossAttention(MultiHeadAttention):
    """`MultiHeadAttention` whose keys and values may be computed ahead, once for all steps.

    Args:
        *args, **kwargs: of `MultiHeadAttention`.

    Call arguments:
        x: (B, T, D), what asks.
        context: (B, S, D), what is looked at, or the pair that `keys_and_values` made of it.
    """

    def keys_and_values(self, context: Any) -> tuple[Any, Any]:
        """Keys (B, S, N, K) and values (B, S, N, H) of what is looked at (B, S, D)."""
        return self.split_heads(self.key(context)), self.split_heads(self.value(context))

    def project(self, x, context):
        known = isinstance(context, (list, tuple))
        key, value = context if known else self.keys_and_values(context)
        return self.split_heads(self.query(x)), key, value, None

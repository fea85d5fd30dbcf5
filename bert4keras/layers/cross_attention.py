"""Attention of a decoder to the output of an encoder."""

from __future__ import annotations

from .._serialization import serializable
from .._types import KeyValues, Tensor
from .attention import MultiHeadAttention, Projections


@serializable
class CrossAttention(MultiHeadAttention):
    """`MultiHeadAttention` whose keys and values can be computed once for all decoding steps.

    Args:
        *args, **kwargs: of `MultiHeadAttention`.

    Call arguments:
        x: queries (B, T, D).
        context: source of keys and values (B, S, D), or the result of `keys_and_values`.
    """

    def keys_and_values(self, context: Tensor) -> KeyValues:
        """Return keys (B, S, N, K) and values (B, S, N, H) of a context (B, S, D)."""
        return self.split_heads(self.key(context)), self.split_heads(self.value(context))

    def project_qkv(self, x: Tensor, context: Tensor | KeyValues) -> Projections:
        if not isinstance(context, (list, tuple)):
            context = self.keys_and_values(context)
        return Projections(self.split_heads(self.query(x)), *context)

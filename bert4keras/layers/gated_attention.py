"""The gated attention unit: attention and feed-forward part of a block in one."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from .._serialization import serializable
from .activations import get_activation
from .attention import MultiHeadAttention

NORMALIZATIONS = ("softmax", "softmax_plus", "squared_relu")
SHORT, LONG = 16, 512  # tokens: `softmax_plus` sharpens no less than at SHORT, and not at LONG


@serializable
class GatedAttentionUnit(MultiHeadAttention):
    """One wide head whose queries and keys share a projection and whose result is gated.

    One `Dense`, `inner`, makes gates (T, U), values (S, U) and what queries and keys are gained
    and shifted from (K); `output` brings gates times mixed values back to the width of the input.

    Args:
        units: width of gates and values, U.
        key_size: width of queries and keys, K.
        activation: of `inner`.
        use_bias: whether the projections have a bias, and queries and keys a shift.
        normalization: `"softmax"`; `"softmax_plus"`, whose scores grow with the logarithm of the
            number n of visible keys, by `log max(n, 16) / log 512`; or `"squared_relu"`, the
            squared positive part over n.
        **kwargs: of `MultiHeadAttention`.

    Source: Hua et al., Transformer Quality in Linear Time, 2022 (arXiv:2202.10447);
    `softmax_plus`: https://kexue.fm/archives/8823.
    """

    def __init__(
        self,
        units: int,
        key_size: int,
        activation: Any = "silu",
        use_bias: bool = True,
        normalization: str = "squared_relu",
        **kwargs,
    ):
        super().__init__(1, units, key_size=key_size, use_bias=use_bias, **kwargs)
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"unknown attention normalization {normalization!r}; known are "
                f"{', '.join(NORMALIZATIONS)}."
            )
        self.units = units
        self.activation = get_activation(activation)
        self.normalization = normalization

    def build(self, x_shape, context_shape=None):
        self.inner = self.projection("inner", 2 * self.units + self.key_size)
        self.inner.activation = self.activation
        self.output_projection = self.projection("output", self.output_dim or x_shape[-1])
        self.inner.build(x_shape)
        self.output_projection.build((*x_shape[:-1], self.units))
        self.gains = [self.vector(f"{name}_gain", "ones") for name in ("query", "key")]
        self.shifts = [
            self.vector(f"{name}_shift", "zeros") for name in ("query", "key") if self.use_bias
        ]

    def vector(self, name: str, initializer: str) -> keras.Variable:
        """A weight (K,)."""
        return self.add_weight(name=name, shape=(self.key_size,), initializer=initializer)

    def project(self, x, context):
        if context is not x:
            raise ValueError("a gated attention unit attends to nothing but its own input.")
        gate, value, shared = ops.split(self.inner(x), [self.units, 2 * self.units], axis=-1)
        both = [shared * ops.cast(gain, x.dtype) for gain in self.gains]
        if self.use_bias:
            both = [
                y + ops.cast(shift, x.dtype) for y, shift in zip(both, self.shifts, strict=True)
            ]
        return *map(self.split_heads, (*both, value)), gate

    def normalize(self, scores, mask):
        if self.normalization == "softmax":
            return super().normalize(scores, mask)
        scores = ops.cast(scores, "float32")
        if mask is None:
            mask = ops.ones_like(scores, dtype="bool")
        # A mask of one row stands for all queries, and one of one head for all heads.
        visible = ops.sum(ops.cast(mask, "float32"), axis=-1, keepdims=True)
        if self.normalization == "softmax_plus":
            sharpness = ops.log(ops.maximum(visible, SHORT)) / math.log(LONG)
            return super().normalize(scores * sharpness, mask)
        return ops.where(mask, ops.square(ops.relu(scores)), 0) / ops.maximum(visible, 1)

    def get_config(self):
        config = super().get_config()
        del config["heads"], config["head_size"]
        return {
            **config,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "normalization": self.normalization,
        }

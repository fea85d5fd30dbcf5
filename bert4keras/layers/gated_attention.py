"""Gated attention unit: attention and feed-forward part of a block in one layer."""

from __future__ import annotations

import math

import keras
from keras import ops

from .._serialization import serializable
from .._types import ActivationLike, Shape, Tensor
from .activations import get_activation
from .attention import MultiHeadAttention, Projections

NORMALIZATIONS = ("softmax", "softmax_plus", "squared_relu")
# Visible keys: `softmax_plus` scales scores by 1 at _LONG, and below _SHORT as at _SHORT.
_SHORT, _LONG = 16, 512


@serializable
class GatedAttentionUnit(MultiHeadAttention):
    """One wide head with a gate, whose queries and keys share a projection.

    One `Dense`, `inner`, computes the gate (T, U), the values (S, U) and a shared vector (K) per
    token. Queries and keys are the shared vector times a gain plus a shift, each with its own.
    `output` projects the gate times the weighted values to the width of the input.

    Args:
        units: width of gates and values, U.
        key_size: width of queries and keys, K.
        activation: of `inner`.
        use_bias: whether the projections have a bias, and queries and keys a shift.
        normalization: with n visible keys `"softmax"`; `"softmax_plus"`, the softmax of scores
            times `log max(n, 16) / log 512`; or `"squared_relu"`, `relu(scores) ** 2 / n`.
        **kwargs: of `MultiHeadAttention`.

    Source: Hua et al., Transformer Quality in Linear Time, 2022 (arXiv:2202.10447);
    `softmax_plus`: https://kexue.fm/archives/8823.
    """

    self_attention_only = True

    def __init__(
        self,
        units: int,
        key_size: int,
        activation: ActivationLike = "silu",
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

    @classmethod
    def kernel_shapes(cls, width, *, heads, head_size, key_size, units):
        return {"inner": (width, 2 * units + key_size), "output": (units, width)}

    def build(self, x_shape: Shape, context_shape: Shape | None = None) -> None:
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
        """Add a weight (K,)."""
        return self.add_weight(name=name, shape=(self.key_size,), initializer=initializer)

    def project_qkv(self, x: Tensor, context: Tensor) -> Projections:
        if context is not x:
            raise ValueError("a gated attention unit has no `context`: it attends to its input.")
        gate, value, shared = ops.split(self.inner(x), [self.units, 2 * self.units], axis=-1)
        both = [shared * ops.cast(gain, x.dtype) for gain in self.gains]
        if self.use_bias:
            both = [
                y + ops.cast(shift, x.dtype) for y, shift in zip(both, self.shifts, strict=True)
            ]
        query, key, value = map(self.split_heads, (*both, value))
        return Projections(query, key, value, gate)

    def normalize(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        if self.normalization == "softmax":
            return super().normalize(scores, mask)
        scores = ops.cast(scores, "float32")
        if mask is None:
            mask = ops.ones_like(scores, dtype="bool")
        # Sums over the keys only: axes of size 1 in the mask broadcast.
        visible = ops.sum(ops.cast(mask, "float32"), axis=-1, keepdims=True)
        if self.normalization == "softmax_plus":
            sharpness = ops.log(ops.maximum(visible, _SHORT)) / math.log(_LONG)
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

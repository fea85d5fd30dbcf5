"""Feed-forward part of a Transformer block."""

from __future__ import annotations

from typing import Any

import keras

from .._serialization import serializable
from .._types import ActivationLike, Shape, Tensor
from .activations import get_activation
from .masking import CarriesMask
from .projection import HasProjections


@serializable
class FeedForward(HasProjections, CarriesMask, keras.layers.Layer):
    """Two `Dense` layers, `inner` with an activation and `output` without.

    The attribute of the second one is `outer`, since `output` is a property of every Keras layer.

    Args:
        units: inner width.
        activation: name or function, see `get_activation`.
        output_dim: width of the result; None means the width of the input.
        gated: multiply the activated half by a linear one, from a third `Dense`, `gate`.
        use_bias: whether the layers have a bias.
        remat: recompute the inner activations in the backward pass instead of keeping them.
        kernel_initializer: initializer of the kernels.

    Call arguments:
        x: (B, T, D). Returns (B, T, output_dim).

    Source: Vaswani et al., Attention Is All You Need, 2017 (arXiv:1706.03762); gated: Shazeer, GLU
    Variants Improve Transformer, 2020 (arXiv:2002.05202).
    """

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "gelu",
        output_dim: int | None = None,
        gated: bool = False,
        use_bias: bool = True,
        remat: bool = False,
        kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.activation = get_activation(activation)
        self.output_dim = output_dim
        self.gated = gated
        self.use_bias = use_bias
        self.remat = remat
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape) -> None:
        self.inner = self.projection("inner", self.units, self.activation)
        self.gate: keras.layers.Dense | None = None
        self.outer = self.projection("output", self.output_dim or input_shape[-1])
        self.inner.build(input_shape)
        if self.gated:
            self.gate = self.projection("gate", self.units)
            self.gate.build(input_shape)
        self.outer.build((*input_shape[:-1], self.units))

    def call(self, x: Tensor) -> Tensor:
        if not self.remat:
            return self.transform(x)
        # A new function each time: JAX caches a trace per function, and bound methods are equal.
        return keras.remat(lambda x: self.transform(x))(x)

    def transform(self, x: Tensor) -> Tensor:
        """Apply the layer, without `remat`."""
        inner = self.inner(x)
        return self.outer(inner if self.gate is None else inner * self.gate(x))

    def compute_output_spec(self, x):
        shape = (*x.shape[:-1], self.output_dim or x.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "output_dim": self.output_dim,
            "gated": self.gated,
            "use_bias": self.use_bias,
            "remat": self.remat,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

"""The position-wise half of a Transformer block."""

from __future__ import annotations

from typing import Any

import keras

from .._serialization import serializable
from .activations import get_activation


@serializable
class FeedForward(keras.layers.Layer):
    """Two `Dense` layers, `inner` with an activation and `output` without.

    Args:
        units: inner width.
        activation: name or function, see `get_activation`.
        output_dim: width of the result; None means the width of the input.
        use_bias: whether both layers have a bias.
        kernel_initializer: initializer of both kernels.

    Call arguments:
        x: (B, T, D). Returns (B, T, output_dim).

    Source: Vaswani et al., Attention Is All You Need, 2017 (arXiv:1706.03762).
    """

    def __init__(
        self,
        units: int,
        activation: Any = "gelu",
        output_dim: int | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.activation = get_activation(activation)
        self.output_dim = output_dim
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        options = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        self.inner = keras.layers.Dense(
            self.units,
            activation=self.activation,
            kernel_initializer=self.kernel_initializer.clone(),
            name="inner",
            **options,
        )
        # `output` is a property of every Keras layer, so the attribute needs another name.
        self.outer = keras.layers.Dense(
            self.output_dim or input_shape[-1],
            kernel_initializer=self.kernel_initializer.clone(),
            name="output",
            **options,
        )
        self.inner.build(input_shape)
        self.outer.build((*input_shape[:-1], self.units))

    def call(self, x):
        return self.outer(self.inner(x))

    def compute_output_spec(self, x):
        shape = (*x.shape[:-1], self.output_dim or x.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "output_dim": self.output_dim,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

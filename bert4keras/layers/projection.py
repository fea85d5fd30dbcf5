"""Projections inside of a layer: a `Dense`, so that LoRA and quantization find them."""

from __future__ import annotations

import keras

from .._compat import linear
from .._serialization import serializable
from .._types import ActivationLike, Tensor


@serializable
class Projection(keras.layers.Dense):
    """`keras.layers.Dense` that multiplies and adds in one operation where the backend has one."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = linear(inputs, self.kernel, self.bias)
        return x if self.activation is None else self.activation(x)

    def quantize(
        self, mode: str | None = None, type_check: bool = True, config: object = None
    ) -> None:
        # Keras refuses subclasses, whose `call` may compute something else.
        super().quantize(mode, type_check=False, config=config)


class HasProjections:
    """Mixin of a layer that makes its `Dense` sublayers with its own options.

    Attributes:
        use_bias: whether they have a bias.
        kernel_initializer: initializer of their kernels.
        dtype_policy: of the layer and of them.
    """

    use_bias: bool
    kernel_initializer: keras.initializers.Initializer
    dtype_policy: keras.DTypePolicy

    def projection(
        self, name: str, units: int | None, activation: ActivationLike | None = None
    ) -> Projection:
        """Make a `Dense` with the options of this layer."""
        return Projection(
            units,
            activation=activation,
            use_bias=self.use_bias,
            # A copy: one initializer object drawn from twice gives the same numbers twice.
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )

"""Projections inside of a layer: plain `Dense`, so that LoRA and quantization find them."""

from __future__ import annotations

import keras

from .._types import ActivationLike


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
    ) -> keras.layers.Dense:
        """Make a `Dense` with the options of this layer."""
        return keras.layers.Dense(
            units,
            activation=activation,
            use_bias=self.use_bias,
            # A copy: one initializer object drawn from twice gives the same numbers twice.
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )

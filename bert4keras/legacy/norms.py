"""Scale and offset of the last axis, which may depend on a condition; layer normalization."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._types import ActivationLike, Shape, Tensor
from ..layers.activations import get_activation
from . import PACKAGE, Masks, Shapes, Tensors


@keras.saving.register_keras_serializable(PACKAGE)
class ScaleOffset(keras.layers.Layer):
    """Multiply the last axis by a vector and add another: x * gamma + beta.

    Args:
        scale, offset: True: a trained vector; a number: this constant; False or None: neither.
        conditional: add zero-initialized projections of a condition to gamma and beta.
        hidden_units: width of a `Dense` between the condition and the projections; None: no such
            layer.
        hidden_activation, hidden_initializer: of that layer.

    Call arguments:
        inputs: x (..., D); with `conditional` a list of x and the condition, (B, C) or (B, T, C).
    """

    def __init__(
        self,
        scale: bool | float | None = True,
        offset: bool | float | None = True,
        conditional: bool = False,
        hidden_units: int | None = None,
        hidden_activation: ActivationLike = "linear",
        hidden_initializer: str | keras.initializers.Initializer = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.scale, self.offset, self.conditional = scale, offset, conditional
        self.hidden_units = hidden_units
        self.hidden_activation = get_activation(hidden_activation)
        self.hidden_initializer = keras.initializers.get(hidden_initializer)
        self.supports_masking = True

    def build(self, input_shape: Shapes) -> None:
        shape, condition = input_shape if self.conditional else (input_shape, None)
        self.beta, self.gamma = self.offset, self.scale
        if self.offset is True:
            self.beta = self.add_weight(name="beta", shape=(shape[-1],), initializer="zeros")
        if self.scale is True:
            self.gamma = self.add_weight(name="gamma", shape=(shape[-1],), initializer="ones")
        if condition is not None and self.hidden_units is not None:
            self.hidden_dense = self._dense("hidden_dense", self.hidden_units, condition)
            condition = (*condition[:-1], self.hidden_units)
        if condition is not None and not _is_off(self.offset):
            self.beta_dense = self._dense("beta_dense", shape[-1], condition)
        if condition is not None and not _is_off(self.scale):
            self.gamma_dense = self._dense("gamma_dense", shape[-1], condition)

    def _dense(self, name: str, units: int, shape: Shape) -> keras.layers.Dense:
        hidden = name == "hidden_dense"
        dense = keras.layers.Dense(
            units,
            activation=self.hidden_activation if hidden else None,
            use_bias=False,
            kernel_initializer=self.hidden_initializer if hidden else "zeros",
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build(shape)
        return dense

    def call(self, inputs: Tensors) -> Tensor:
        x, condition = inputs if self.conditional else (inputs, None)
        x = self.normalized(x)
        if condition is not None:
            missing = len(x.shape) - len(condition.shape)
            condition = ops.expand_dims(condition, tuple(range(1, 1 + missing)))
            if self.hidden_units is not None:
                condition = self.hidden_dense(condition)
        if not _is_off(self.scale):
            gamma = ops.cast(self.gamma, x.dtype)
            x = x * (gamma if condition is None else gamma + self.gamma_dense(condition))
        if not _is_off(self.offset):
            beta = ops.cast(self.beta, x.dtype)
            x = x + (beta if condition is None else beta + self.beta_dense(condition))
        return x

    def normalized(self, x: Tensor) -> Tensor:
        """Return what is scaled, the same shape as `x`."""
        return x

    def compute_mask(self, inputs: Tensors, previous_mask: Masks = None) -> Tensor | None:
        return previous_mask[0] if self.conditional and previous_mask else previous_mask

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        return input_shape[0] if self.conditional else input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "offset": self.offset,
            "conditional": self.conditional,
            "hidden_units": self.hidden_units,
            "hidden_activation": keras.activations.serialize(self.hidden_activation),
            "hidden_initializer": keras.initializers.serialize(self.hidden_initializer),
        }


@keras.saving.register_keras_serializable(PACKAGE)
class LayerNormalization(ScaleOffset):
    """`ScaleOffset` of x minus its mean, divided by its standard deviation.

    Args:
        zero_mean: subtract the mean of the last axis.
        unit_variance: divide by the root of its mean square.
        epsilon: added to the mean square.
        **kwargs: of `ScaleOffset`.
    """

    def __init__(
        self,
        zero_mean: bool = True,
        unit_variance: bool = True,
        epsilon: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.zero_mean, self.unit_variance = zero_mean, unit_variance
        self.epsilon = epsilon or 1e-12

    def normalized(self, x: Tensor) -> Tensor:
        wide = ops.cast(x, "float32")
        if self.zero_mean:
            wide = wide - ops.mean(wide, axis=-1, keepdims=True)
        if self.unit_variance:
            wide = ops.rms_normalization(wide, epsilon=self.epsilon)
        return ops.cast(wide, x.dtype)

    def get_config(self) -> dict[str, Any]:
        options = {"zero_mean": self.zero_mean, "unit_variance": self.unit_variance}
        return {**super().get_config(), **options, "epsilon": self.epsilon}


def _is_off(option: bool | float | None) -> bool:
    """Return whether an option says that there is no scale or offset; 0 is a constant."""
    return option is False or option is None

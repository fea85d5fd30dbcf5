"""Norms whose gain and shift depend on a condition, and the RMS norm without weights."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from .._serialization import serializable
from .._types import ActivationLike, Shape
from .activations import get_activation
from .masking import CarriesMask


class _Conditional(keras.layers.Layer):
    """Mixin of a norm: add two zero-initialized `Dense` of a condition to gain and shift.

    The weights of the norm keep their names. So a pretrained model can be built with a condition,
    and gives the same outputs before training.

    Args:
        hidden_units: width of a `Dense` between the condition and these two; None: no such layer.
        hidden_activation: its activation.

    Class attributes:
        shifts: True if the norm has a shift.

    Call arguments:
        inputs: pair of x (B, T, D) and the condition, (B, C) or (B, T, C).

    Source: de Vries et al., Modulating early visual processing by language, 2017
    (arXiv:1707.00683); for text: https://kexue.fm/archives/7124.
    """

    shifts: ClassVar[bool] = True

    def __init__(
        self,
        hidden_units: int | None = None,
        hidden_activation: ActivationLike = "linear",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.hidden_units = hidden_units
        self.hidden_activation = get_activation(hidden_activation)

    def build(self, input_shape: tuple[Shape, Shape]) -> None:
        x_shape, condition_shape = input_shape
        super().build(x_shape)
        if self.hidden_units:
            self.hidden = keras.layers.Dense(
                self.hidden_units,
                activation=self.hidden_activation,
                use_bias=False,
                dtype=self.dtype_policy,
                name="hidden_dense",
            )
            self.hidden.build(condition_shape)
            condition_shape = (*condition_shape[:-1], self.hidden_units)
        names = ("gamma_dense", "beta_dense") if self.shifts else ("gamma_dense",)
        self.modulations = [self.modulation(name, x_shape, condition_shape) for name in names]

    def modulation(self, name: str, x_shape: Shape, condition_shape: Shape) -> keras.layers.Dense:
        """Make the zero-initialized `Dense` from the condition to the gain or the shift."""
        dense = keras.layers.Dense(
            x_shape[-1],
            use_bias=False,
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build(condition_shape)
        return dense

    def call(self, inputs):
        x, condition = inputs
        if len(condition.shape) == 2:
            condition = condition[:, None]
        if self.hidden_units:
            condition = self.hidden(condition)
        return self.modulate(x, *(dense(condition) for dense in self.modulations))

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[0].shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "hidden_activation": keras.activations.serialize(self.hidden_activation),
        }


@serializable
class ConditionalLayerNormalization(_Conditional, keras.layers.LayerNormalization):
    """`LayerNormalization` whose gain and shift depend on a condition: `norm([x, condition])`."""

    def modulate(self, x, gain, shift):
        """Return the norm of x (..., D), with gain and shift (..., D) added to its own."""
        gain = gain + (1 if self.gamma is None else ops.cast(self.gamma, gain.dtype))
        if self.beta is not None:
            shift = shift + ops.cast(self.beta, shift.dtype)
        normed = ops.layer_normalization(ops.cast(x, "float32"), epsilon=self.epsilon)
        return ops.cast(normed, gain.dtype) * gain + shift


@serializable
class RMSNormalization(CarriesMask, keras.layers.RMSNormalization):
    """`keras.layers.RMSNormalization` that passes on the mask of its input."""


@serializable
class ConditionalRMSNormalization(_Conditional, RMSNormalization):
    """`RMSNormalization` whose gain depends on a condition: `norm([x, condition])`."""

    shifts = False

    def modulate(self, x, gain):
        """Return the norm of x (..., D), with gain (..., D) added to its own."""
        normed = ops.rms_normalization(ops.cast(x, "float32"), epsilon=self.epsilon)
        return ops.cast(normed, x.dtype) * (ops.cast(self.scale, x.dtype) + gain)


@serializable
class UnscaledRMSNormalization(CarriesMask, keras.layers.Layer):
    """RMS norm without weights: x divided by the root of its mean square over the last axis.

    Args:
        epsilon: added to the mean square.

    Source: RoFormerV2 (https://github.com/ZhuiyiTechnology/roformer-v2).
    """

    def __init__(self, epsilon: float = 1e-12, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, x):
        return ops.cast(
            ops.rms_normalization(ops.cast(x, "float32"), epsilon=self.epsilon), x.dtype
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}

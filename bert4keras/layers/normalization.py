"""Norms whose gain and shift depend on a condition, and the norm without any parameter."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._serialization import serializable
from .activations import get_activation
from .masking import CarriesMask


class Conditional(keras.layers.Layer):
    """Mixin of a norm: adds to gain and shift what two zero-started `Dense` make of a condition.

    The weights of the norm keep their names, so a pretrained model gets a condition by being built
    with one: at the start nothing changes.

    Args:
        hidden_units: width of a `Dense` between the condition and the other two; None: none.
        hidden_activation: its activation.

    Call arguments:
        inputs: pair of x (B, T, D) and the condition, (B, C) or (B, T, C).

    Source: de Vries et al., Modulating early visual processing by language, 2017
    (arXiv:1707.00683); for text: https://kexue.fm/archives/7124.
    """

    shifts = True

    def __init__(
        self, hidden_units: int | None = None, hidden_activation: Any = "linear", **kwargs
    ):
        super().__init__(**kwargs)
        self.hidden_units = hidden_units
        self.hidden_activation = get_activation(hidden_activation)

    def build(self, input_shape):
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

    def modulation(self, name, x_shape, condition_shape):
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
class ConditionalLayerNormalization(Conditional, keras.layers.LayerNormalization):
    """`LayerNormalization` under a condition, see `Conditional`."""

    def modulate(self, x, gain, shift):
        gain = gain + (1 if self.gamma is None else ops.cast(self.gamma, gain.dtype))
        if self.beta is not None:
            shift = shift + ops.cast(self.beta, shift.dtype)
        normed = ops.layer_normalization(ops.cast(x, "float32"), epsilon=self.epsilon)
        return ops.cast(normed, gain.dtype) * gain + shift


@serializable
class RMSNormalization(CarriesMask, keras.layers.RMSNormalization):
    """That of Keras, which would drop the mask of its input."""


@serializable
class ConditionalRMSNormalization(Conditional, RMSNormalization):
    """`RMSNormalization` under a condition, see `Conditional`; it has a gain and no shift."""

    shifts = False

    def modulate(self, x, gain):
        normed = ops.rms_normalization(ops.cast(x, "float32"), epsilon=self.epsilon)
        return ops.cast(normed, x.dtype) * (ops.cast(self.scale, x.dtype) + gain)


@serializable
class UnscaledRMSNormalization(CarriesMask, keras.layers.Layer):
    """x divided by the root of its mean square over the last axis; no weights.

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

"""AdaFactor with the options of 0.11."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .._compat import variable_index
from .._types import Shape, Tensor
from ..backend import root_mean_square
from ..snippets import string_matching
from . import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class AdaFactor(keras.optimizers.Optimizer):
    """AdaFactor: Adam's second moment kept as a row and a column; steps relative to the weights.

    With the gradient g, the rms of a tensor, and the step t from 1:

        v = beta2 v + (1 - beta2) (g^2 + epsilon1)      of a large matrix: means of rows and columns
        u = g / sqrt(v + epsilon1),    u = u / max(1, rms(u) / clipping_threshold)
        w = w - learning_rate max(epsilon2, rms(w)) u

    Args:
        learning_rate: number or schedule; None: min(t^-0.5, 0.01), times 0.05 if the step does not
            depend on rms(w).
        beta1: momentum of u; 0: none.
        beta2: decay of the second moment; None: 1 - t^-0.8.
        epsilon1, epsilon2: see above.
        multiply_by_parameter_scale: False: leave out the factor max(epsilon2, rms(w)).
        clipping_threshold: see above; None: no clipping.
        min_dim_size_to_factor: smallest size of the two longest axes of a weight whose second
            moment is kept as a row and a column.
        exclude_from_parameter_scale: patterns of the paths of weights without the factor.
        **kwargs: of `keras.optimizers.Optimizer`.

    Source: Shazeer and Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost, 2018
    (arXiv:1804.04235).
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule | None = 1e-3,
        beta1: float = 0.0,
        beta2: float | None = None,
        epsilon1: float = 1e-30,
        epsilon2: float = 1e-3,
        multiply_by_parameter_scale: bool = True,
        clipping_threshold: float | None = 1.0,
        min_dim_size_to_factor: int = 128,
        exclude_from_parameter_scale: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        if learning_rate is None:
            learning_rate = RelativeStep(1.0 if multiply_by_parameter_scale else 0.05)
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2 = beta1, beta2
        self.epsilon1, self.epsilon2 = epsilon1, epsilon2
        self.multiply_by_parameter_scale = multiply_by_parameter_scale
        self.clipping_threshold = clipping_threshold
        self.min_dim_size_to_factor = min_dim_size_to_factor
        self.exclude_from_parameter_scale = list(exclude_from_parameter_scale or ())

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        # By index, since TensorFlow hands its own variables to `update_step`.
        self.long_axes = [self._long_axes(variable.shape) for variable in variables]
        self.scaled = [
            self.multiply_by_parameter_scale
            and not string_matching(variable.path, self.exclude_from_parameter_scale)
            for variable in variables
        ]
        self.momenta = [
            self.add_variable_from_reference(variable, name="momentum") if self.beta1 > 0 else None
            for variable in variables
        ]
        self.second_moments = [
            [
                self.add_variable(shape=shape, dtype=variable.dtype, name="second_moment")
                for shape in _moment_shapes(variable.shape, axes)
            ]
            for variable, axes in zip(variables, self.long_axes, strict=True)
        ]

    def _long_axes(self, shape: Shape) -> tuple[int, int] | None:
        """Return the longest axis and the second longest; None: the moment is kept as a whole."""
        if len(shape) < 2:
            return None
        second, first = np.argsort(shape, kind="stable")[-2:].tolist()
        return (first, second) if shape[second] >= self.min_dim_size_to_factor else None

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        index = variable_index(self, variable)
        gradient = ops.cast(gradient, variable.dtype)
        moment = self._second_moment(gradient, index)
        step = gradient * ops.rsqrt(moment + self.epsilon1)
        if self.clipping_threshold is not None:
            step = step / ops.maximum(1.0, root_mean_square(step) / self.clipping_threshold)
        if self.beta1 > 0:
            momentum = self.momenta[index]
            step = self.beta1 * momentum + (1 - self.beta1) * step
            self.assign(momentum, step)
        if self.scaled[index]:
            step = step * ops.maximum(root_mean_square(variable), self.epsilon2)
        self.assign_sub(variable, ops.cast(learning_rate, step.dtype) * step)

    def _second_moment(self, gradient: Tensor, index: int) -> Tensor:
        """Update what is stored of a moment, and return the moment, shaped like the gradient."""
        stored, axes = self.second_moments[index], self.long_axes[index]
        beta2: Any = self.beta2
        if beta2 is None:
            beta2 = 1 - ops.cast(self.iterations + 1, gradient.dtype) ** -0.8
        square = ops.square(gradient) + self.epsilon1
        means = [square] if axes is None else [ops.mean(square, a, keepdims=True) for a in axes]
        moments = [beta2 * old + (1 - beta2) * new for old, new in zip(stored, means, strict=True)]
        for old, new in zip(stored, moments, strict=True):
            self.assign(old, new)
        if axes is None:
            return moments[0]
        return moments[0] * moments[1] / ops.mean(moments[0], axis=axes[1], keepdims=True)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta1": self.beta1,
            "beta2": self.beta2,
            "epsilon1": self.epsilon1,
            "epsilon2": self.epsilon2,
            "multiply_by_parameter_scale": self.multiply_by_parameter_scale,
            "clipping_threshold": self.clipping_threshold,
            "min_dim_size_to_factor": self.min_dim_size_to_factor,
            "exclude_from_parameter_scale": self.exclude_from_parameter_scale,
        }


def _moment_shapes(shape: Shape, axes: tuple[int, int] | None) -> list[Shape]:
    """Return the shapes in which the second moment of a weight is kept."""
    if axes is None:
        return [tuple(shape)]
    return [tuple(1 if i == axis else n for i, n in enumerate(shape)) for axis in axes]


@keras.saving.register_keras_serializable(PACKAGE)
class RelativeStep(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate factor * min(t^-0.5, 0.01) at the step t from 1.

    Args:
        factor: see above.
    """

    def __init__(self, factor: float = 1.0):
        self.factor = factor

    def __call__(self, step: Tensor) -> Tensor:
        return self.factor * ops.minimum(ops.rsqrt(ops.cast(step + 1, "float32")), 0.01)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}

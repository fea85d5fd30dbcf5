"""A loss written as a layer, for losses of several inputs and outputs of a model."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._types import Tensor
from . import PACKAGE, Masks, Shapes, Tensors


@keras.saving.register_keras_serializable(PACKAGE)
class Loss(keras.layers.Layer):
    """Base of layers that compute a loss and return some of their inputs.

    A subclass defines `compute_loss`, which gets integers as float32; the model is compiled without
    a loss.

    Args:
        output_axis: index of the input that is returned, or a list of indices; None: all inputs.

    Call arguments:
        inputs: a tensor or a list of tensors.
        mask: filled in by Keras: the padding mask of each input, bool (B, T) or None.

    Example:
        >>> class Mean(Loss):
        ...     def compute_loss(self, inputs, mask=None):
        ...         return K.mean(K.square(inputs[0] - inputs[1]))
        >>> output = Mean(output_axis=1)([target, prediction])
    """

    def __init__(self, output_axis: int | list[int] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.output_axis = output_axis
        self.supports_masking = True

    def build(self, input_shape: Shapes) -> None:
        self.built = True

    def call(self, inputs: Tensors, mask: Masks = None) -> Tensors:
        # 0.11 had float inputs, and its losses multiply by segment ids.
        floats = keras.tree.map_structure(_as_float, inputs)
        self.add_loss(self.compute_loss(floats, mask))
        # Keras hangs the mask on tensors, and the inputs themselves have theirs already.
        return keras.tree.map_structure(lambda x: ops.add(x, 0), self._selected(inputs))

    def compute_loss(self, inputs: Tensors, mask: Masks = None) -> Tensor:
        """Return the loss, a scalar; arguments as of the layer."""
        raise NotImplementedError(f"{type(self).__name__} needs compute_loss(inputs, mask=None).")

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Say what replaces this method of Keras 2."""
        raise NotImplementedError(
            "Keras 3 has no add_metric: give compile(metrics=[function]) a function of labels and "
            "outputs, or make the value an output of the model."
        )

    def _selected(self, values: Any) -> Any:
        """Return the values, one for each input, that belong to the outputs."""
        if self.output_axis is None or values is None:
            return values
        if isinstance(self.output_axis, list):
            return [values[index] for index in self.output_axis]
        return values[self.output_axis]

    def compute_output_spec(self, inputs: Tensors, mask: Masks = None) -> Any:
        # The loss is not computed on symbols, whose lengths are unknown.
        return keras.tree.map_structure(
            lambda x: keras.KerasTensor(x.shape, dtype=x.dtype), self._selected(inputs)
        )

    def compute_mask(self, inputs: Tensors, previous_mask: Masks = None) -> Masks:
        return self._selected(previous_mask)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_axis": self.output_axis}


def _as_float(x: Tensor) -> Tensor:
    if keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)):
        return x
    return ops.cast(x, "float32")

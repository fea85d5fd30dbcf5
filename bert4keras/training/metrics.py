"""Accuracies for `compile(metrics=[...])` that ignore positions without a label.

Legend: B batch, T length (or any number of axes), C classes.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._compat import keras_mask
from .._labels import binary_labels, sparse_labels
from .._serialization import serializable
from .._types import Tensor


def _label_weights(counted: Tensor, y_pred: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Return the product of `counted`, the Keras mask and the sample weights, in float32."""
    weight = ops.cast(counted, "float32")
    for other in (keras_mask(y_pred), sample_weight):
        if other is not None:
            other = ops.cast(other, "float32")
            extra = len(other.shape) - len(weight.shape)
            if extra == 1 and other.shape[-1] == 1:
                other = ops.squeeze(other, axis=-1)
            shape = (*ops.shape(other), *(1,) * max(-extra, 0))
            weight = weight * ops.reshape(other, shape)
    return weight


class _Accuracy(keras.metrics.Metric):
    """Base class: correct labels divided by labels, counted over all batches.

    Keras averages over batches, which gives the labels of a batch of short texts more weight.
    """

    def __init__(self, name: str | None = None, **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add a batch; a Keras mask of the predictions acts as sample weights of 0 and 1.

        Args:
            y_true, y_pred: labels and predictions, see the class; labels below 0 are ignored.
            sample_weight: (B,), or the shape of the labels.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        right, counted = self.matches(ops.convert_to_tensor(y_true), y_pred)
        weight = _label_weights(counted, y_pred, sample_weight)
        self.total.assign_add(ops.sum(ops.where(right, weight, 0.0)))
        self.count.assign_add(ops.sum(weight))

    def matches(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return which labels are predicted correctly and which count, bool of one shape."""
        raise NotImplementedError

    def result(self) -> Tensor:
        return ops.divide_no_nan(self.total, self.count)


@serializable
class SparseCategoricalAccuracy(_Accuracy):
    """Fraction of the labels whose class has the highest score; labels below 0 are ignored.

    Use it instead of `"accuracy"` if some positions have no label, with the loss
    `bert4keras.losses.SparseCategoricalCrossentropy`. y_true is int (B, ...) or (B, ..., 1), y_pred
    (B, ..., C).

    Args:
        name, **kwargs: of `keras.metrics.Metric`.

    Raises:
        ValueError: other shapes; a label of C or more.
    """

    def __init__(self, name: str = "accuracy", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def matches(self, y_true, y_pred):
        labels, counted = sparse_labels(y_true, y_pred, self.name)
        return ops.cast(ops.argmax(y_pred, axis=-1), "int32") == labels, counted


@serializable
class BinaryAccuracy(_Accuracy):
    """Fraction of binary labels that the prediction, compared with a threshold, equals.

    y_true is 0 or 1, or below 0 for no label, which is ignored; y_pred has the same shape.

    Args:
        threshold: 0.5 for probabilities, 0 for logits.
        name, **kwargs: of `keras.metrics.Metric`.

    Raises:
        ValueError: labels and predictions have different shapes.
    """

    def __init__(self, threshold: float = 0.5, name: str = "binary_accuracy", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.threshold = threshold

    def matches(self, y_true, y_pred):
        labels, counted = binary_labels(y_true, y_pred, self.name)
        return (labels > 0.5) == (y_pred > self.threshold), counted

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}

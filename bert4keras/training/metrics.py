"""Accuracies for `compile(metrics=[...])` that leave out positions without a label.

Legend: B batch, T length (or any number of axes), C classes.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._compat import keras_mask
from .._labels import binary_labels, sparse_labels
from .._serialization import serializable


def label_weights(counted: Any, y_pred: Any, sample_weight: Any) -> Any:
    """Weights, float32 of the shape of `counted`: of mask, Keras mask and sample weights."""
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
    """Base: right labels by labels, counted over all batches alike, whatever their lengths.

    Keras' own mean gives the labels of a short batch more weight than those of a long one.
    """

    def __init__(self, name: str | None = None, **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch; a Keras mask of the predictions counts like a sample weight of 0 and 1.

        Args:
            y_true, y_pred: labels and predictions, as of the class; labels below 0 are left out.
            sample_weight: (B,), or of each label.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        right, counted = self.matches(ops.convert_to_tensor(y_true), y_pred)
        weight = label_weights(counted, y_pred, sample_weight)
        self.total.assign_add(ops.sum(ops.where(right, weight, 0.0)))
        self.count.assign_add(ops.sum(weight))

    def matches(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    def result(self) -> Any:
        return ops.divide_no_nan(self.total, self.count)


@serializable
class SparseCategoricalAccuracy(_Accuracy):
    """Share of the labels of 0 or more whose class has the highest score.

    In place of `"accuracy"` where some positions have no label, as with the loss
    `bert4keras.losses.SparseCategoricalCrossentropy`: y_true int (B, ...) or (B, ..., 1), y_pred
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
    """Share of the labels of 0 or more on whose side of the threshold the prediction is.

    y_true: 0 or 1, below 0: no label; y_pred of its shape.

    Args:
        threshold: of the prediction, 0.5 for probabilities, 0 for logits.
        name, **kwargs: of `keras.metrics.Metric`.

    Raises:
        ValueError: labels of another shape than the predictions.
    """

    def __init__(self, threshold: float = 0.5, name: str = "binary_accuracy", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.threshold = threshold

    def matches(self, y_true, y_pred):
        labels, counted = binary_labels(y_true, y_pred, self.name)
        return (labels > 0.5) == (y_pred > self.threshold), counted

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}

"""Cross entropies that leave out positions without a label: padding, special tokens, word pieces.

Keras' own take a label below 0 for a class: JAX counts it as a wrong one, the others raise.

Legend: B batch, T length (or any number of axes), C classes.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._compat import set_keras_mask
from .._labels import binary_labels, sparse_labels
from .._serialization import serializable
from .._types import Tensor


class _Ignoring(keras.losses.Loss):
    """Base class: a loss per label, and a mask of the labels that count, in float32 or wider."""

    def __init__(
        self,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ):
        # Keras casts the labels too, and float16 cannot represent class 2049.
        dtype = dtype or keras.backend.result_type(keras.config.floatx(), "float32")
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        # A copy, because on torch Keras would multiply the mask into the caller's tensor.
        if sample_weight is not None:
            sample_weight = ops.convert_to_tensor(sample_weight) * 1
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        losses, counted = self.losses(y_true, y_pred)
        losses = ops.where(counted, losses, 0.0)
        set_keras_mask(losses, counted)
        return losses

    def losses(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each label or position, and which of them count (bool)."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}


@serializable
class SparseCategoricalCrossentropy(_Ignoring):
    """Cross entropy of class indices: the mean over labels of 0 or more.

    Use it instead of Keras' loss of this name if some positions have no label: the padding of
    `DataGenerator` (-1), special tokens, continuations of a word. A Keras mask of the predictions
    and sample weights are applied too.

    Args:
        from_logits: True if predictions are logits, not probabilities.
        reduction, name, dtype: of `keras.losses.Loss`.

    Call arguments:
        y_true: int (B, ...) or (B, ..., 1); below 0: no label, ignored.
        y_pred: (B, ..., C).

    Raises:
        ValueError: other shapes; a label of C or more.

    Example:
        >>> metrics = [SparseCategoricalAccuracy()]
        >>> model.compile("adam", SparseCategoricalCrossentropy(), metrics=metrics)
    """

    def __init__(self, *args: Any, name: str = "sparse_categorical_crossentropy", **kwargs: Any):
        super().__init__(*args, name=name, **kwargs)

    def losses(self, y_true, y_pred):
        labels, counted = sparse_labels(y_true, y_pred, self.name)
        y_pred = ops.where(counted[..., None], y_pred, 1.0 / y_pred.shape[-1])
        loss = ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=self.from_logits)
        return loss, counted


@serializable
class BinaryCrossentropy(_Ignoring):
    """Cross entropy of binary labels: the mean over labels of 0 or more.

    Args:
        from_logits: True if predictions are logits, not probabilities.
        reduction, name, dtype: of `keras.losses.Loss`.

    Call arguments:
        y_true: (B, ..., C), from 0 to 1; below 0: no label, ignored.
        y_pred: (B, ..., C).

    Raises:
        ValueError: labels and predictions have different shapes.
    """

    def __init__(self, *args: Any, name: str = "binary_crossentropy", **kwargs: Any):
        super().__init__(*args, name=name, **kwargs)

    def losses(self, y_true, y_pred):
        labels, counted = binary_labels(y_true, y_pred, self.name)
        y_pred = ops.where(counted, y_pred, 0.5)
        loss = ops.binary_crossentropy(labels, y_pred, from_logits=self.from_logits)
        # The mean over the labels of a position; Keras then averages over positions.
        share = ops.cast(counted, loss.dtype)
        count = ops.sum(share, axis=-1)
        loss = ops.sum(ops.where(counted, loss, 0.0), axis=-1) / ops.maximum(count, 1)
        return loss, count > 0

"""Metrics for `compile(metrics=[...])`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ..._serialization import serializable


@serializable
class Perplexity(keras.metrics.Metric):
    """exp of the mean cross entropy over all tokens since the last reset.

    Tokens count alike, whatever batch they came in: the mean of the batches' perplexities would be
    another, larger number. Before the first token the result is NaN.

    Args:
        from_logits: predictions are logits, not probabilities.
        name, **kwargs: of `keras.metrics.Metric`.
    """

    def __init__(self, from_logits: bool = False, name: str = "perplexity", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.from_logits = from_logits
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add tokens.

        Args:
            y_true: int (B, T) or (B, T, 1), or with no token axis; labels below 0 are ignored.
            y_pred: (B, T, V), or (B, V).
            sample_weight: (B, T), or (B,) for all tokens of a row.
        """
        y_pred = ops.cast(y_pred, "float32")
        y_true = ops.cast(y_true, "int32")
        if len(y_true.shape) == len(y_pred.shape):
            y_true = ops.squeeze(y_true, axis=-1)
        weight = ops.cast(y_true >= 0, "float32")
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, "float32")
            missing = len(weight.shape) - len(sample_weight.shape)
            shape = ops.shape(sample_weight) + (1,) * missing
            weight = weight * ops.reshape(sample_weight, shape)
        labels = ops.maximum(y_true, 0)[..., None]
        gold = ops.take_along_axis(y_pred, labels, axis=-1)[..., 0]
        if self.from_logits:
            loss = ops.logsumexp(y_pred, axis=-1) - gold
        else:
            loss = -ops.log(ops.maximum(gold, keras.config.epsilon()))
        # Where nothing counts there may be NaN, which times 0 would stay.
        loss = ops.where(weight > 0, loss * weight, 0.0)
        self.total.assign_add(ops.sum(loss))
        self.count.assign_add(ops.sum(weight))

    def result(self) -> Any:
        """Return the perplexity of all tokens since the last reset."""
        return ops.exp(self.total / self.count)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}

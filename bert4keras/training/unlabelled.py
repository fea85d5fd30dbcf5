"""Labels of batches in which some rows have none: a label below 0."""

from __future__ import annotations

from keras import ops

from .._types import Tensor


def weigh_labelled(y: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return labels and weights for the loss of the rows that have a label.

    With K of B rows labelled, weights are B / K for these and 0 for the others, so that the mean
    over B rows is the mean over the labelled ones. Labels below 0 become 0.

    Args:
        y: labels (B, ...), below 0 where there is none.
        weights: sample weights, which the result includes; None: all 1.
    """
    known = ops.cast(y, "float32") >= 0
    share = ops.maximum(ops.mean(ops.cast(known, "float32")), 1e-9)
    factor = ops.cast(known, "float32") / share
    if len(factor.shape) > 1 and factor.shape[-1] == 1:
        factor = ops.squeeze(factor, axis=-1)
    if weights is not None:
        weights = ops.cast(weights, "float32")
        while len(weights.shape) < len(factor.shape):
            weights = ops.expand_dims(weights, axis=-1)
        factor = factor * weights
    return ops.maximum(y, ops.zeros_like(y)), factor

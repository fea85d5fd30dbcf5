"""Focal loss: cross entropy with lower weights for examples that are predicted well.

Keras' focal losses clip probabilities. These take logits, so nothing is clipped; they ignore labels
below 0 and take class indices.

Symbols: B batch, C classes.

Source: Lin et al., Focal Loss for Dense Object Detection, 2017 (arXiv:1708.02002).
"""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from .._labels import check_label_range
from .._serialization import serializable
from .._types import Tensor
from .precision import float32_or_wider


@serializable
def binary_focal_crossentropy(
    y_true: Tensor, y_pred: Tensor, gamma: float = 2.0, alpha: float | None = None
) -> Tensor:
    """Compute the focal loss of binary labels: `-(1 - p)^gamma log p`.

    Args:
        y_true: (B, ...), 0 or 1; below 0: ignored.
        y_pred: (B, ...), logits s. p, the probability of the label, is sigmoid(s) for label 1 and
            sigmoid(-s) for label 0.
        gamma: 0 gives the cross entropy.
        alpha: weight of label 1; label 0 has the weight 1 - alpha. None: no weights.

    Returns:
        (B,), the mean over the labels of a row that are not ignored; 0 if all are.
    """
    scores = float32_or_wider(y_pred)
    yes = ops.cast(y_true, "int32") > 0
    # log p and log(1 - p), both exact for large logits.
    right = ops.log_sigmoid(ops.where(yes, scores, -scores))
    wrong = ops.log_sigmoid(ops.where(yes, -scores, scores))
    losses = -ops.exp(gamma * wrong) * right
    if alpha is not None:
        losses = losses * ops.where(yes, alpha, 1 - alpha)
    return _mean(losses, ops.cast(y_true, "int32") >= 0)


@serializable
def sparse_categorical_focal_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    gamma: float = 2.0,
    alpha: Sequence[float] | Tensor | None = None,
) -> Tensor:
    """Compute the focal loss of class indices: `-alpha_c (1 - p_c)^gamma log p_c` for class c.

    Args:
        y_true: (B, ...), class indices; below 0: ignored.
        y_pred: (B, ..., C), logits; p is their softmax.
        gamma: 0 gives the cross entropy.
        alpha: weights of the C classes; None: no weights.

    Returns:
        (B,), the mean over the labels of a row that are not ignored; 0 if all are.
    """
    labels, scores = ops.cast(y_true, "int32"), float32_or_wider(y_pred)
    check_label_range(labels, scores.shape[-1], "sparse focal loss")
    index = ops.maximum(labels, 0)
    log_p = ops.log_softmax(scores, axis=-1)
    right = ops.take_along_axis(log_p, ops.expand_dims(index, -1), axis=-1)[..., 0]
    losses = -_power(1 - ops.exp(right), gamma) * right
    if alpha is not None:
        losses = losses * ops.take(ops.convert_to_tensor(alpha, dtype=losses.dtype), index)
    return _mean(losses, labels >= 0)


def _power(rest: Tensor, gamma: float) -> Tensor:
    """Return rest ** gamma, with a finite gradient at rest = 0 also for gamma below 1."""
    return ops.power(ops.maximum(rest, 1e-7), gamma) if gamma else ops.ones_like(rest)


def _mean(losses: Tensor, counted: Tensor) -> Tensor:
    """Return the mean (B,) of losses (B, ...) where `counted` is True; 0 if it never is."""
    axes, counted = tuple(range(1, len(losses.shape))), ops.cast(counted, losses.dtype)
    return ops.sum(losses * counted, axis=axes) / ops.maximum(ops.sum(counted, axis=axes), 1)

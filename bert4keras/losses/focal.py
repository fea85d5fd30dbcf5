"""Focal loss from scores: cross-entropy that cares less for what is right already.

Keras has focal losses of probabilities; these take scores without activation, so that nothing is
clipped, ignore labels below 0 and take class indices.

Legend: B batch, C classes.

Source: Lin et al., Focal Loss for Dense Object Detection, 2017 (arXiv:1708.02002).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._labels import check_labels
from .._serialization import serializable


@serializable
def binary_focal_crossentropy(
    y_true: Any, y_pred: Any, gamma: float = 2.0, alpha: float | None = None
) -> Any:
    """Focal loss of yes-or-no questions: `-(1 - p)^gamma log p`, p the chance of the truth.

    Args:
        y_true: (B, ...), 0 or 1; below 0: ignored.
        y_pred: (B, ...), scores; p is their sigmoid, or what that leaves to 1.
        gamma: 0 gives the cross-entropy.
        alpha: weight of label 1, that of label 0 being 1 - alpha; None: no weights.

    Returns:
        (B,), the mean over the labels that are not ignored; 0 where all are.
    """
    scores = _wide(y_pred)
    yes = ops.cast(y_true, "int32") > 0
    # log of the chance of the truth, and of the rest, both exact however large the score.
    right = ops.log_sigmoid(ops.where(yes, scores, -scores))
    wrong = ops.log_sigmoid(ops.where(yes, -scores, scores))
    losses = -ops.exp(gamma * wrong) * right
    if alpha is not None:
        losses = losses * ops.where(yes, alpha, 1 - alpha)
    return _mean(losses, ops.cast(y_true, "int32") >= 0)


@serializable
def sparse_categorical_focal_crossentropy(
    y_true: Any, y_pred: Any, gamma: float = 2.0, alpha: Any = None
) -> Any:
    """Focal loss of one class out of C: `-alpha_c (1 - p_c)^gamma log p_c`.

    Args:
        y_true: (B, ...), class indices; below 0: ignored.
        y_pred: (B, ..., C), scores; p is their softmax.
        gamma: 0 gives the cross-entropy.
        alpha: C weights of the classes; None: no weights.

    Returns:
        (B,), the mean over the labels that are not ignored; 0 where all are.
    """
    labels, scores = ops.cast(y_true, "int32"), _wide(y_pred)
    check_labels(labels, scores.shape[-1], "sparse focal loss")
    index = ops.maximum(labels, 0)
    log_p = ops.log_softmax(scores, axis=-1)
    right = ops.take_along_axis(log_p, ops.expand_dims(index, -1), axis=-1)[..., 0]
    losses = -_power(1 - ops.exp(right), gamma) * right
    if alpha is not None:
        losses = losses * ops.take(ops.convert_to_tensor(alpha, dtype=losses.dtype), index)
    return _mean(losses, labels >= 0)


def _power(rest: Any, gamma: float) -> Any:
    """rest ** gamma, with a finite gradient where nothing is left and gamma is below 1."""
    return ops.power(ops.maximum(rest, 1e-7), gamma) if gamma else ops.ones_like(rest)


def _wide(scores: Any) -> Any:
    scores = ops.convert_to_tensor(scores)
    return ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))


def _mean(losses: Any, counted: Any) -> Any:
    """Mean (B,) of (B, ...) over what is counted."""
    axes, counted = tuple(range(1, len(losses.shape))), ops.cast(counted, losses.dtype)
    return ops.sum(losses * counted, axis=axes) / ops.maximum(ops.sum(counted, axis=axes), 1)

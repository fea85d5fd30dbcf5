"""ZLPR, a multi-label loss: labels should score above 0, all other classes below 0.

With P the labels of a row, N the other classes, and scores s,

    loss = log(1 + sum over i in P of exp(-s_i)) + log(1 + sum over j in N of exp(s_j)).

Each term is a smooth maximum of 0 and the scores, so the loss compares the lowest label with 0 and
the highest other class with 0. Unlike one sigmoid per class, it balances few labels with many other
classes, and 0 is the threshold without tuning.

Symbols: B batch, C classes, H heads (kinds of spans), T length, n labels.

Source: https://kexue.fm/archives/7359, with soft labels https://kexue.fm/archives/9064; Su et al.,
ZLPR: A Novel Loss for Multi-label Classification, 2022 (arXiv:2208.02955).
"""

from __future__ import annotations

from keras import ops

from .._labels import check_label_range
from .._scores import is_masked, lowest
from .._serialization import serializable
from .._types import Tensor
from .precision import float32_or_wider


@serializable
def multilabel_categorical_crossentropy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute ZLPR of labels 0 and 1, or between.

        loss = log(1 + sum over i of t_i exp(-s_i)) + log(1 + sum over i of (1 - t_i) exp(s_i))

    Args:
        y_true: (..., C), t: 1 for a label, 0 for none, or between (soft labels of mixup or
            smoothing); below 0: ignored. Masked scores are ignored too.
        y_pred: (..., C), s: logits.

    Returns:
        (...), float32 or wider.

    Raises:
        ValueError: labels and scores have different shapes.
    """
    scores = float32_or_wider(y_pred)
    labels = ops.cast(y_true, scores.dtype)
    if len(labels.shape) != len(scores.shape):
        raise ValueError(
            f"labels {tuple(labels.shape)} must have the shape of the scores "
            f"{tuple(scores.shape)}; for indices of labels use "
            "sparse_multilabel_categorical_crossentropy."
        )
    counted = ops.logical_and(labels >= 0, ~is_masked(scores))
    return _log_one_plus(-scores, labels, counted) + _log_one_plus(scores, 1 - labels, counted)


@serializable
def sparse_multilabel_categorical_crossentropy(
    y_true: Tensor, y_pred: Tensor, mask_zero: bool = False
) -> Tensor:
    """Compute ZLPR of indices of labels, without a tensor (..., n, C).

    Args:
        y_true: (..., n), integers, each index at most once; below 0: padding.
        y_pred: (..., C), logits.
        mask_zero: True if index 0 is padding too, and class 0 is ignored.

    Returns:
        (...), float32 or wider.

    Raises:
        ValueError: labels and scores have different numbers of axes; an index of C or more.
    """
    scores, labels = float32_or_wider(y_pred), ops.cast(y_true, "int32")
    if len(labels.shape) != len(scores.shape):
        raise ValueError(
            f"indices of labels {tuple(labels.shape)} must have as many axes as the scores "
            f"{tuple(scores.shape)}."
        )
    shape, classes, count = ops.shape(scores)[:-1], ops.shape(scores)[-1], ops.shape(labels)[-1]
    scores, labels = ops.reshape(scores, (-1, classes)), ops.reshape(labels, (-1, count))
    check_label_range(labels, classes, "sparse ZLPR")
    real = labels > 0 if mask_zero else labels >= 0
    chosen = ops.take_along_axis(scores, ops.where(real, labels, 0), axis=1)
    positive = _log_one_plus(-chosen, 1.0, ops.logical_and(real, ~is_masked(chosen)))
    # The second sum is over all classes but the labels. The usual way is to subtract the terms of
    # the labels from the sum over all classes, which leaves only rounding errors once they are
    # large. So the scores of the labels are masked one by one; padding masks an additional column.
    column = ops.full_like(scores[:, :1], lowest(scores.dtype))
    masked = ops.reshape(ops.where(real, labels, classes), (-1,))
    rows = ops.repeat(ops.arange(ops.shape(scores)[0], dtype="int32"), count)
    others = ops.scatter_update(
        ops.concatenate([scores, column], axis=1),
        ops.stack([rows, masked], axis=1),
        ops.full_like(ops.cast(masked, scores.dtype), lowest(scores.dtype)),
    )
    others = others[:, int(mask_zero) :]
    return ops.reshape(positive + _log_one_plus(others, 1.0, ~is_masked(others)), shape)


@serializable
def globalpointer_crossentropy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Compute ZLPR of spans: for each head, T^2 classes, the pairs of first and last token.

    Args:
        y_true: (B, H, T, T), 1 if a span starts at the token of the row and ends with that of the
            column; below 0: ignored.
        y_pred: (B, H, T, T), logits.

    Returns:
        (B,), the sum over heads.
    """
    shape = ops.shape(y_pred)
    flat = (shape[0], shape[1], shape[2] * shape[3])
    losses = multilabel_categorical_crossentropy(
        ops.reshape(y_true, flat), ops.reshape(y_pred, flat)
    )
    return ops.sum(losses, axis=1)


@serializable
def sparse_globalpointer_crossentropy(
    y_true: Tensor, y_pred: Tensor, mask_zero: bool = False
) -> Tensor:
    """Compute `globalpointer_crossentropy` of spans given by their first and last tokens.

    Args:
        y_true: (B, H, n, 2), first and last token of each span, each span once; below 0: padding.
        y_pred: (B, H, T, T), logits.
        mask_zero: True if (0, 0) is padding too.

    Returns:
        (B,), the sum over heads.
    """
    shape, spans = ops.shape(y_pred), ops.cast(y_true, "int32")
    first, last = spans[..., 0], spans[..., 1]
    check_label_range(spans, shape[3], "sparse ZLPR of spans", "places")
    flat = ops.where(ops.logical_or(first < 0, last < 0), -1, first * shape[3] + last)
    scores = ops.reshape(y_pred, (shape[0], shape[1], shape[2] * shape[3]))
    return ops.sum(sparse_multilabel_categorical_crossentropy(flat, scores, mask_zero), axis=1)


def _log_one_plus(scores: Tensor, weights: Tensor | float, counted: Tensor) -> Tensor:
    """Return log(1 + sum of w exp(s)) over the last axis, where `counted` is True and w > 0.

    With m = max(0, max s) it is m + log(exp(-m) + sum of w exp(s - m)), which cannot overflow.
    """
    weights = ops.cast(weights, scores.dtype)
    counted = ops.logical_and(counted, weights > 0)
    # The inner `where` keeps the logarithm and its gradient finite.
    terms = scores + ops.log(ops.where(weights > 0, weights, 1))
    terms = ops.where(counted, terms, lowest(scores.dtype))
    if 0 in tuple(terms.shape):  # Keras refuses the maximum of an empty axis
        return ops.sum(terms, axis=-1)  # log(1)
    peak = ops.stop_gradient(ops.maximum(ops.max(terms, axis=-1), 0))
    total = ops.sum(ops.exp(terms - ops.expand_dims(peak, -1)), axis=-1)
    return peak + ops.log(ops.exp(-peak) + total)

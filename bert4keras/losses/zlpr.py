"""ZLPR, the loss for several labels at once: each label scores above 0, everything else below.

Unlike one sigmoid per label it balances few labels against many others, and needs no threshold to
be tuned: what scores above 0 is a label.

Legend: B batch, C classes, H heads (kinds of spans), T length, n labels.

Source: https://kexue.fm/archives/7359, with soft labels https://kexue.fm/archives/9064; Su et al.,
ZLPR: A Novel Loss for Multi-label Classification, 2022 (arXiv:2208.02955).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._labels import check_labels
from .._scores import is_masked, lowest
from .._serialization import serializable


@serializable
def multilabel_categorical_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """ZLPR of any number of labels per row.

    `log(1 + sum_i t_i exp(-s_i)) + log(1 + sum_i (1 - t_i) exp(s_i))`

    Args:
        y_true: (..., C), t: 1 for a label, 0 for none, or between (soft labels, as of mixup or
            smoothing); below 0: this score takes no part. Masked scores take none either.
        y_pred: (..., C), s: scores without activation.

    Returns:
        (...), float32 (float64 of float64): a half cannot hold the sums.

    Raises:
        ValueError: other shapes.
    """
    scores, labels = _wide(y_pred), ops.cast(y_true, _wide(y_pred).dtype)
    if len(labels.shape) != len(scores.shape):
        raise ValueError(
            f"labels {tuple(labels.shape)} must have the shape of the scores "
            f"{tuple(scores.shape)}; for indices of labels there is "
            "sparse_multilabel_categorical_crossentropy."
        )
    counted = ops.logical_and(labels >= 0, ~is_masked(scores))
    return _log_one_plus(-scores, labels, counted) + _log_one_plus(scores, 1 - labels, counted)


@serializable
def sparse_multilabel_categorical_crossentropy(
    y_true: Any, y_pred: Any, mask_zero: bool = False
) -> Any:
    """`multilabel_categorical_crossentropy` of labels given by their indices, without (..., n, C).

    Args:
        y_true: (..., n), integers, each index at most once; below 0: no label (padding).
        y_pred: (..., C), scores without activation.
        mask_zero: index 0 is padding too, and class 0 takes no part.

    Returns:
        (...), as above.
    """
    scores, labels = _wide(y_pred), ops.cast(y_true, "int32")
    if len(labels.shape) != len(scores.shape):
        raise ValueError(
            f"indices of labels {tuple(labels.shape)} must have as many axes as the scores "
            f"{tuple(scores.shape)}."
        )
    shape, classes, count = ops.shape(scores)[:-1], ops.shape(scores)[-1], ops.shape(labels)[-1]
    scores, labels = ops.reshape(scores, (-1, classes)), ops.reshape(labels, (-1, count))
    check_labels(labels, classes, "sparse ZLPR")
    real = labels > 0 if mask_zero else labels >= 0
    chosen = ops.take_along_axis(scores, ops.where(real, labels, 0), axis=1)
    positive = _log_one_plus(-chosen, 1.0, ops.logical_and(real, ~is_masked(chosen)))
    # The labels' own scores are struck out one by one: subtracting them from the sum over all, as
    # is usual, leaves nothing but rounding errors once they are large. Padding strikes out the
    # additional column.
    column = ops.full_like(scores[:, :1], lowest(scores.dtype))
    struck = ops.reshape(ops.where(real, labels, classes), (-1,))
    rows = ops.repeat(ops.arange(ops.shape(scores)[0], dtype="int32"), count)
    others = ops.scatter_update(
        ops.concatenate([scores, column], axis=1),
        ops.stack([rows, struck], axis=1),
        ops.full_like(ops.cast(struck, scores.dtype), lowest(scores.dtype)),
    )
    others = others[:, int(mask_zero) :]
    return ops.reshape(positive + _log_one_plus(others, 1.0, ~is_masked(others)), shape)


@serializable
def globalpointer_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """ZLPR of spans: each head is a multi-label problem over all pairs of tokens.

    Args:
        y_true: (B, H, T, T), 1 where a span of the head starts (row) and ends (column), inclusive;
            below 0: takes no part.
        y_pred: (B, H, T, T), scores.

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
def sparse_globalpointer_crossentropy(y_true: Any, y_pred: Any, mask_zero: bool = False) -> Any:
    """`globalpointer_crossentropy` of spans given by their ends.

    Args:
        y_true: (B, H, n, 2), first and last token of each span, each span once; below 0: no span.
        y_pred: (B, H, T, T), scores.
        mask_zero: (0, 0) is no span either.

    Returns:
        (B,), the sum over heads.
    """
    shape, spans = ops.shape(y_pred), ops.cast(y_true, "int32")
    first, last = spans[..., 0], spans[..., 1]
    check_labels(spans, shape[3], "sparse ZLPR of spans", "places")
    flat = ops.where(ops.logical_or(first < 0, last < 0), -1, first * shape[3] + last)
    scores = ops.reshape(y_pred, (shape[0], shape[1], shape[2] * shape[3]))
    return ops.sum(sparse_multilabel_categorical_crossentropy(flat, scores, mask_zero), axis=1)


def _wide(scores: Any) -> Any:
    scores = ops.convert_to_tensor(scores)
    return ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))


def _log_one_plus(scores: Any, weights: Any, counted: Any) -> Any:
    """`log(1 + sum w exp(s))` along the last axis, over what is counted and has a weight."""
    weights = ops.cast(weights, scores.dtype)
    counted = ops.logical_and(counted, weights > 0)
    # The inner `where` keeps the logarithm, and so its gradient, finite.
    terms = scores + ops.log(ops.where(weights > 0, weights, 1))
    terms = ops.where(counted, terms, lowest(scores.dtype))
    if 0 in tuple(terms.shape):  # Keras takes no maximum of nothing
        return ops.sum(terms, axis=-1)  # nothing to add: log(1)
    peak = ops.stop_gradient(ops.maximum(ops.max(terms, axis=-1), 0))
    total = ops.sum(ops.exp(terms - ops.expand_dims(peak, -1)), axis=-1)
    return peak + ops.log(ops.exp(-peak) + total)

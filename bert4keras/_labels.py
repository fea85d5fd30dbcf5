"""Labels as losses and metrics take them: which count, and none out of range."""

from __future__ import annotations

from typing import Any

from keras import ops

from ._compat import raise_when_run


def sparse_labels(y_true: Any, scores: Any, who: str) -> tuple[Any, Any]:
    """Labels int32 (B, T) of which those below 0 became 0, and the boolean mask (B, T) of the rest.

    Args:
        y_true: class indices (B, T) or (B, T, 1).
        scores: (B, T, C).
        who: names the loss or metric in messages.

    Raises:
        ValueError: other shapes, or, when the values are known, a label of C or more.
    """
    labels = ops.cast(y_true, "int32")
    if len(labels.shape) == len(scores.shape) and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, axis=-1)
    if len(labels.shape) != len(scores.shape) - 1:
        raise ValueError(
            f"{who} takes class indices of one axis less than the scores {tuple(scores.shape)}, "
            f"not labels {tuple(y_true.shape)}."
        )
    check_labels(labels, scores.shape[-1], who)
    return ops.maximum(labels, 0), labels >= 0


def check_labels(labels: Any, count: Any, who: str, what: str = "classes") -> None:
    """Refuse labels of `count` or more, which JAX would take for none or for the last one.

    Args:
        labels: int, of any shape; below 0: no label.
        count: how many `what` there are.
        who: names the loss or metric in the message.

    Raises:
        ValueError: names the range.
    """
    last = f"0 to {count - 1}" if isinstance(count, int) else "less than their number"
    raise_when_run(
        ops.any(labels >= count),
        f"{who} got a label out of range: {what} are {last}; below 0 is no label.",
    )


def binary_labels(y_true: Any, y_pred: Any, who: str) -> tuple[Any, Any]:
    """Labels of which those below 0 became 0, and the boolean mask of the rest, as `y_pred`.

    Raises:
        ValueError: another shape.
    """
    if len(y_true.shape) != len(y_pred.shape):
        if len(y_true.shape) == len(y_pred.shape) - 1 and y_pred.shape[-1] == 1:
            y_true = y_true[..., None]
        else:
            raise ValueError(
                f"{who} takes labels of the shape of the predictions {tuple(y_pred.shape)}, not "
                f"{tuple(y_true.shape)}."
            )
    labels = ops.cast(y_true, y_pred.dtype)
    return ops.maximum(labels, 0), labels >= 0

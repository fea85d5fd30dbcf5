"""Labels of losses and metrics: the mask of those that count, and a check of their range."""

from __future__ import annotations

from keras import ops

from ._compat import raise_at_runtime
from ._types import Tensor


def sparse_labels(y_true: Tensor, scores: Tensor, who: str) -> tuple[Tensor, Tensor]:
    """Return class indices and the mask of the positions that have one.

    Args:
        y_true: class indices (B, T) or (B, T, 1); a negative one means no label.
        scores: (B, T, C).
        who: name of the loss or metric, for messages.

    Returns:
        Labels int32 (B, T), 0 where there is none, and the mask bool (B, T) of those that count.

    Raises:
        ValueError: other shapes or, when the values are known, a label of C or more.
    """
    labels = ops.cast(y_true, "int32")
    if len(labels.shape) == len(scores.shape) and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, axis=-1)
    if len(labels.shape) != len(scores.shape) - 1:
        raise ValueError(
            f"{who} takes class indices with one axis less than the scores {tuple(scores.shape)}, "
            f"not labels {tuple(y_true.shape)}."
        )
    check_label_range(labels, scores.shape[-1], who)
    return ops.maximum(labels, 0), labels >= 0


def check_label_range(labels: Tensor, count: int | Tensor, who: str, what: str = "classes") -> None:
    """Refuse labels of `count` or more, which JAX would ignore or clip to the last class.

    Args:
        labels: int tensor of any shape; a negative one means no label.
        count: number of classes.
        who: name of the loss or metric, for the message.
        what: what the labels count, for the message.

    Raises:
        ValueError: a label out of range; names the range.
    """
    last = f"0 to {count - 1}" if isinstance(count, int) else "less than their number"
    raise_at_runtime(
        ops.any(labels >= count),
        f"{who} got a label out of range: {what} are {last}; below 0 is no label.",
    )


def binary_labels(y_true: Tensor, y_pred: Tensor, who: str) -> tuple[Tensor, Tensor]:
    """Return labels in the shape and dtype of `y_pred`, and the mask of those that count.

    A negative label means none; it is returned as 0 and is False in the mask.

    Raises:
        ValueError: another shape than that of `y_pred`.
    """
    if len(y_true.shape) != len(y_pred.shape):
        if len(y_true.shape) == len(y_pred.shape) - 1 and y_pred.shape[-1] == 1:
            y_true = y_true[..., None]
        else:
            raise ValueError(
                f"{who} needs labels of the shape of the predictions {tuple(y_pred.shape)}, not "
                f"{tuple(y_true.shape)}."
            )
    labels = ops.cast(y_true, y_pred.dtype)
    return ops.maximum(labels, 0), labels >= 0

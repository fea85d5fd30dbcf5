"""Losses that make vectors of similar texts similar: CoSENT and in-batch negatives.

Symbols: B pairs of a batch, C candidates, D size of a vector. Everything is computed in float32,
whatever the precision of the model, because exp(20 cos) is too large for float16.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._scores import lowest
from .._serialization import serializable
from .._types import Tensor


def unit(x: Tensor) -> Tensor:
    """Scale vectors (..., D) to length 1, in float32; zeros stay zeros and have a gradient."""
    x = ops.cast(x, "float32")
    # The bound is under the root: outside of it the gradient at 0 would be NaN.
    return x * ops.rsqrt(ops.maximum(ops.sum(x * x, axis=-1, keepdims=True), 1e-12))


@serializable
def cosent(y_true: Tensor, y_pred: Tensor, scale: float = 20.0) -> Tensor:
    """Compute CoSENT: pairs with a higher label should have a higher cosine.

        loss = log(1 + sum over i, j with y_i > y_j of exp(scale * (cos_j - cos_i)))

    Only the order of the labels matters, so grades need no scaling, and 0 and 1 are enough. A batch
    in which all labels are equal has loss 0.

    Args:
        y_true: labels (B,) or (B, 1); pairs with a label below 0 are ignored.
        y_pred: cosines of the pairs, of the same shape.
        scale: lambda, the inverse of a temperature.

    Returns:
        (B,), the loss of the batch repeated B times, because it is not a sum over pairs. Sample
        weights cannot leave out a pair; use a label below 0.

    Source: Su, CoSENT, 2022 (kexue.fm/archives/8847).

    Example:
        >>> model = cosine_model(encoder)
        >>> model.compile("adam", cosent)
    """
    labels = ops.reshape(ops.cast(y_true, "float32"), (-1,))
    cosines = scale * ops.reshape(ops.cast(y_pred, "float32"), (-1,))
    higher, lower = labels[:, None], labels[None, :]
    ordered = ops.logical_and(higher > lower, lower >= 0)
    logits = ops.where(ordered, cosines[None, :] - cosines[:, None], lowest("float32"))
    # The 1 in the logarithm is exp(0).
    logits = ops.concatenate([ops.zeros((1,)), ops.reshape(logits, (-1,))], axis=0)
    return ops.logsumexp(logits) * ops.ones_like(labels)


@serializable
class CoSENT(keras.losses.Loss):
    """CoSENT with a scale, for `compile(loss=CoSENT(scale=10))`.

    Args:
        scale: lambda, the inverse of a temperature.
        name, **kwargs: of `keras.losses.Loss`.
    """

    def __init__(self, scale: float = 20.0, name: str = "cosent", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.scale = scale

    def call(self, y_true, y_pred):
        return cosent(y_true, y_pred, self.scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


def in_batch_negatives(
    anchors: Tensor,
    candidates: Tensor,
    scale: float = 20.0,
    symmetric: bool = False,
    same: Tensor | None = None,
) -> Tensor:
    """Compute the cross entropy of finding each text's partner among those of the whole batch.

        loss_i = -log(exp(scale * cos(a_i, c_i)) / sum over j of exp(scale * cos(a_i, c_j)))

    It is also known as InfoNCE, NT-Xent or multiple-negatives ranking; with two vectors of one text
    under different dropout masks it is SimCSE.

    Args:
        anchors: vectors a (B, D).
        candidates: vectors c (C, D), C >= B: the first B are the partners of the anchors; the
            others are negatives of every anchor (the hard negatives of supervised SimCSE).
        scale: inverse of the temperature.
        symmetric: True averages it with the loss of finding the anchor of each partner.
        same: bool (B, B), True if texts i and j are the same, so the partner of j is not a negative
            of i. The diagonal is ignored.

    Returns:
        Loss of each anchor (B,), float32.

    Source: Gao, Yao, Chen, SimCSE, 2021 (arXiv:2104.08821); Henderson et al., 2017
        (arXiv:1705.00652).
    """
    logits = scale * ops.matmul(unit(anchors), ops.transpose(unit(candidates)))
    count = ops.shape(anchors)[0]
    places = ops.arange(count)
    own = places[:, None] == places[None, :]
    partners = logits[:, :count]
    gold = ops.sum(ops.where(own, partners, 0.0), axis=1)
    if same is not None:
        same = ops.logical_and(ops.cast(same, "bool"), ops.logical_not(own))
        partners = ops.where(same, lowest("float32"), partners)
    rest = logits[:, count:]
    loss = ops.logsumexp(ops.concatenate([partners, rest], axis=1), axis=1) - gold
    if symmetric:
        # `same` is symmetric, so the same mask is right for the transposed logits.
        loss = (loss + ops.logsumexp(partners, axis=0) - gold) / 2
    return loss

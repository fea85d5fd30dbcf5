"""What makes vectors of similar texts alike: CoSENT and in-batch negatives.

Legend: B pairs of a batch, C candidates, D size of a vector. All is computed in float32, whatever
the precision of the model: 20 times a cosine is an exponent too large for float16.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._scores import lowest
from .._serialization import serializable


def unit(x: Any) -> Any:
    """Vectors (..., D) of length 1 in float32; zeros stay zeros, and have a gradient."""
    x = ops.cast(x, "float32")
    # Under the root, not as a bound on the result: there the gradient of zeros would be NaN.
    return x * ops.rsqrt(ops.maximum(ops.sum(x * x, axis=-1, keepdims=True), 1e-12))


@serializable
def cosent(y_true: Any, y_pred: Any, scale: float = 20.0) -> Any:
    """CoSENT: a pair with a higher label shall have a higher cosine than one with a lower.

        loss = log(1 + sum over i, j with y_i > y_j of exp(scale * (cos_j - cos_i)))

    Only the order of the labels counts, so that grades need no scaling and 0 / 1 will do. A batch
    in which all labels are equal has loss 0.

    Args:
        y_true: labels (B,) or (B, 1); pairs with a label below 0 are left out.
        y_pred: cosines of the pairs, of the same shape.
        scale: lambda, the inverse of a temperature.

    Returns:
        (B,): the loss of the batch B times, since it is not a sum over pairs. A sample weight
        weighs it as a whole; a pair is left out by its label.

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
    """`cosent` with a scale of choice, for `compile(loss=CoSENT(scale=10))`.

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
    anchors: Any,
    candidates: Any,
    scale: float = 20.0,
    symmetric: bool = False,
    same: Any = None,
) -> Any:
    """Cross entropy of finding each text's partner among the partners of the whole batch.

        loss_i = -log(exp(scale * cos(a_i, c_i)) / sum over j of exp(scale * cos(a_i, c_j)))

    Also known as InfoNCE, NT-Xent or multiple-negatives ranking; with the two vectors of one text
    under different dropout it is SimCSE.

    Args:
        anchors: vectors (B, D).
        candidates: vectors (C, D), C >= B: the first B are the partners of the anchors, all others
            are negatives of every anchor (the hard negatives of supervised SimCSE).
        scale: the inverse of the temperature.
        symmetric: the mean with the loss of finding the anchor from its partner.
        same: bool (B, B), where texts i and j are the same, so that j's partner is no negative of
            i. The diagonal does not matter.

    Returns:
        Loss per anchor (B,), float32.

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
        # `same` is a symmetric relation, so the transposed logits are masked rightly.
        loss = (loss + ops.logsumexp(partners, axis=0) - gold) / 2
    return loss

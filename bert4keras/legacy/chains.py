"""CRF and MEMM that read padding from the Keras mask instead of from negative labels.

In training the labels of padding are any number, usually 0. The mask reaches the loss through the
scores: the layers put a very low score at padding, and the losses leave such positions out.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._compat import model_in_fit
from .._scores import is_masked, lowest
from .._serialization import function_of, storable_method
from .._types import Tensor
from ..layers.masking import without_mask
from ..tasks.tagging import ConditionalRandomField as _ConditionalRandomField
from ..tasks.tagging import MaximumEntropyMarkovModel as _MaximumEntropyMarkovModel
from ..tasks.tagging.packing import one_hot
from ..tasks.tagging.sequence_labelling import SequenceLabelling
from . import PACKAGE


class _MaskedScores(SequenceLabelling):
    """Mixin of a head: padding comes from the mask, and `trans` are the transition scores."""

    def add_scores(
        self, name: str, *shape: int, initializer: str = "glorot_uniform"
    ) -> keras.Variable:
        return super().add_scores(name, *shape, initializer=initializer)

    @property
    def trans(self) -> Tensor:
        """Transition scores (C, C), from the row's label to the column's."""
        model = model_in_fit()
        if model is not None and hasattr(model, "jax_state_sync"):
            model.jax_state_sync()  # in a callback the variables do not have the current values
        return self.transitions

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return without_mask(inputs)
        return ops.where(ops.cast(mask, "bool")[..., None], inputs, lowest(inputs.dtype))

    @storable_method
    def loss(self, y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute the training loss of each row (B,), without padding."""
        return super().loss(_labels_without_padding(y_true, scores), scores)

    @storable_method
    def sparse_loss(self, y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute `loss` of labels (B, T)."""
        return self.loss(y_true, scores)

    @storable_method
    def dense_loss(self, y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute `loss` of one-hot labels (B, T, C)."""
        return self.loss(ops.argmax(y_true, axis=-1), scores)

    @staticmethod
    @function_of("legacy.SequenceLabelling")
    def sparse_accuracy(y_true: Tensor, scores: Tensor) -> Tensor:
        """Return the share of labels with the highest score, without padding."""
        return SequenceLabelling.accuracy(_labels_without_padding(y_true, scores), scores)

    @staticmethod
    @function_of("legacy.SequenceLabelling")
    def dense_accuracy(y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute `sparse_accuracy` of one-hot labels (B, T, C)."""
        return _MaskedScores.sparse_accuracy(ops.argmax(y_true, axis=-1), scores)


@keras.saving.register_keras_serializable(PACKAGE)
class ConditionalRandomField(_MaskedScores, _ConditionalRandomField):
    """`tasks.tagging.ConditionalRandomField` with labels and masks as in 0.11.

    Args:
        lr_multiplier, **kwargs: of that class.
    """


@keras.saving.register_keras_serializable(PACKAGE)
class MaximumEntropyMarkovModel(_MaskedScores, _MaximumEntropyMarkovModel):
    """MEMM in both directions with the loss of 0.11, the mean over the labels of a batch.

    A label is predicted from the mean of its score and that of the transition, (f + g) / 2, not
    from their sum, as by `tasks.tagging.MaximumEntropyMarkovModel`; the first one from f.

    Args:
        lr_multiplier, hidden_dim, **kwargs: of that class.
    """

    def __init__(self, lr_multiplier: float = 1, hidden_dim: int | None = None, **kwargs: Any):
        super().__init__(lr_multiplier, hidden_dim, bidirectional=True, **kwargs)

    @storable_method
    def loss(self, y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute the mean loss of the labels that are not padding, a scalar."""
        labels = _labels_without_padding(y_true, scores)
        mask, weight = labels >= 0, ops.cast(labels >= 0, scores.dtype)
        scores = ops.where(mask[..., None], scores, 0.0)
        gold, nothing = one_hot(labels, self.labels), ops.zeros_like(mask[:, :1])
        forward, backward = gold @ self.transitions, gold @ ops.transpose(self.transitions)
        forward = ops.concatenate([scores[:, :1], forward[:, :-1]], axis=1)
        backward = ops.concatenate([backward[:, 1:], scores[:, -1:]], axis=1)
        is_last = ops.logical_not(ops.concatenate([mask[:, 1:], nothing], axis=1))
        backward = ops.where(is_last[..., None], scores, backward)
        total = 0.0
        for neighbours in (forward, backward):
            logits = (scores + neighbours) / 2
            losses = ops.logsumexp(logits, axis=-1) - ops.sum(gold * logits, axis=-1)
            total = total + ops.sum(losses * weight) / ops.sum(weight)
        return total / 2

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["bidirectional"]
        return config


def _labels_without_padding(y_true: Tensor, scores: Tensor) -> Tensor:
    """Return labels (B, T), -1 where the scores (B, T, C) are those of padding."""
    padding = ops.all(is_masked(scores), axis=-1)
    labels = ops.reshape(ops.cast(y_true, "int32"), ops.shape(padding))
    return ops.where(padding, -1, labels)

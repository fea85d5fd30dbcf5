"""The loss of a text, and dropout of the decoder's input words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ..._serialization import serializable
from ...layers.masking import without_mask
from ...losses import SparseCategoricalCrossentropy


@serializable
class TextCrossentropy(SparseCategoricalCrossentropy):
    """Cross entropy of a text: the sum over its tokens, -log p(x), and the mean over texts.

    With a sum, the KL that a layer adds to the loss has the weight that the bound gives it. Labels
    below 0 do not count. Predictions are logits.

    Call arguments:
        y_true: int (B, T).
        y_pred: (B, T, V).
    """

    def __init__(self, from_logits: bool = True, name: str = "text_crossentropy", **kwargs: Any):
        super().__init__(from_logits, name=name, **kwargs)

    def __call__(self, y_true, y_pred, sample_weight=None):
        # A Keras mask would be applied to the sums, which have no axis of tokens.
        return super().__call__(y_true, without_mask(y_pred), sample_weight)

    def call(self, y_true, y_pred):
        losses, counted = self.losses(y_true, y_pred)
        return ops.sum(ops.where(counted, losses, 0.0), axis=-1)


@serializable
class WordDropout(keras.layers.Layer):
    """Replace each token id with a probability in training, so that a decoder needs its condition.

    Args:
        rate: probability.
        replacement: id that takes the place, such as that of `[MASK]`.
        kept: ids that stay: those of special tokens.
        seed: of the choice.

    Source: Bowman et al., Generating Sentences from a Continuous Space, 2016 (arXiv:1511.06349).
    """

    def __init__(
        self,
        rate: float,
        replacement: int,
        kept: Sequence[int] = (),
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"word_dropout={rate!r} must be in [0, 1).")
        self.rate, self.replacement, self.kept = rate, replacement, [int(i) for i in kept]
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, ids, training=None):
        if not training or not self.rate:
            return ids
        drawn = keras.random.uniform(ops.shape(ids), seed=self.seed_generator)
        dropped = drawn < self.rate
        for special in self.kept:
            dropped = ops.logical_and(dropped, ops.not_equal(ids, special))
        return ops.where(dropped, ops.cast(self.replacement, ids.dtype), ids)

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, ids):
        return keras.KerasTensor(ids.shape, dtype=ids.dtype)

    def get_config(self):
        names = ("rate", "replacement", "kept", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

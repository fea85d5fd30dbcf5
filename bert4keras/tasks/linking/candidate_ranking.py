"""Candidate ranking: a score for each candidate continuation of a text."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from ..._checks import check_places
from ..._labels import check_label_range
from ..._scores import lowest
from ..._serialization import function_of, serializable
from ..._types import Tensor
from ...layers.masking import EndsMask
from ..finite import as_scores
from ..pooling import tokens_at


@serializable
class CandidateRanking(EndsMask, keras.layers.Layer):
    """Score the candidates that follow a text in one row, for a softmax over them.

    The encoder reads the text once, followed by all candidates, each of which sees the text and
    itself (`application="shared_prefix"`). The score of candidate k is

        s_k = v . tanh(W x_k + b) + u . f_k

    with the output x_k at its first token and its features f_k, such as the logarithm of how often
    the name means it.

    One of the candidates may be an empty text that means "none of these" (NIL).

    Args:
        units: width U of the hidden layer; None: width of the encoder.
        dropout_rate: rate on x_k.

    Call arguments:
        inputs: `[x, starts]` or `[x, starts, features]`: hidden states (B, T, D); index of each
            candidate's first token, int (B, K), 0 where there is no candidate; features (B, K, F).

    Returns:
        Scores (B, K); `lowest` where there is no candidate, so that its probability is 0.

    Raises:
        ValueError: units below 1, a dropout rate outside [0, 1], another number or rank of inputs.

    Source: an encoder that reads text and entity together is that of Wu et al., Scalable Zero-shot
    Entity Linking, 2020 (arXiv:1911.03814).
    """

    def __init__(self, units: int | None = None, dropout_rate: float = 0.1, **kwargs):
        super().__init__(**kwargs)
        if units is not None and units < 1:
            raise ValueError(f"units={units} must be at least 1.")
        self.units, self.dropout_rate = units, dropout_rate
        self.dropout = keras.layers.Dropout(dropout_rate, dtype=self.dtype_policy)

    def build(self, input_shape):
        if len(input_shape) not in (2, 3):
            raise ValueError(
                f"The inputs must be [x, starts] or [x, starts, features], not {len(input_shape)}."
            )
        if len(input_shape) == 3 and len(input_shape[2]) != 3:
            # (B, K) would broadcast along the wrong axis.
            raise ValueError(
                f"The features must have shape (B, K, F), not {tuple(input_shape[2])}."
            )
        size = input_shape[0][-1]
        plain = {"use_bias": False, "dtype": self.dtype_policy}
        self.inner = keras.layers.Dense(
            self.units or size, "tanh", dtype=self.dtype_policy, name="inner"
        )
        self.inner.build((None, None, size))
        self.score = keras.layers.Dense(1, name="score", **plain)
        self.score.build((None, None, self.units or size))
        if len(input_shape) == 3:
            # Weights 1: adding a log prior to a log likelihood is Bayes' rule.
            self.weigh = keras.layers.Dense(1, kernel_initializer="ones", name="weigh", **plain)
            self.weigh.build(input_shape[2])

    def call(self, inputs, training=None):
        x, starts, *features = inputs
        starts = check_places(ops.cast(starts, "int32"), x, self.name)
        chosen = self.dropout(tokens_at(x, starts), training=training)
        scores = self.score(self.inner(chosen))[..., 0]
        for feature in features:
            scores = scores + self.weigh(feature)[..., 0]
        return ops.where(starts > 0, scores, lowest(scores.dtype))

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs[1].shape, dtype=self.compute_dtype)

    @staticmethod
    @function_of("CandidateRanking")
    def loss(y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute the cross-entropy over the candidates, (B,).

        Args:
            y_true: index of the right candidate, int (B,) or (B, 1); negative: loss 0.
            scores: (B, K).
        """
        y_true = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        check_label_range(y_true, ops.shape(scores)[1], "CandidateRanking", "candidates")
        logs = ops.log_softmax(ops.cast(scores, "float32"), axis=-1)
        picked = ops.take_along_axis(logs, ops.maximum(y_true, 0)[:, None], axis=1)[:, 0]
        return ops.where(y_true >= 0, -picked, 0.0)

    def decode(self, scores: Tensor) -> list[tuple[int, float]]:
        """Return the index of the best candidate of each row and its probability.

        Args:
            scores: (B, K), an array.
        """
        scores = as_scores(ops.convert_to_numpy(scores))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares = weights.max(axis=-1) / weights.sum(axis=-1)
        return [(int(k), float(p)) for k, p in zip(scores.argmax(-1), shares, strict=True)]

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "dropout_rate": self.dropout_rate,
        }

"""Layer and loss that predict start and end of an answer by a softmax over tokens."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ..._labels import check_label_range
from ..._scores import is_masked, lowest
from ..._serialization import function_of, serializable
from ..._types import Tensor
from ...layers.masking import EndsMask, without_mask
from ..finite import as_scores
from .answers import ScoredSpan, best_spans

# Score of a token that cannot be part of an answer, the same in every dtype.
_OUTSIDE = lowest("float16")


@serializable
class SpanExtraction(EndsMask, keras.layers.Layer):
    """Score each token as the first and as the last of the answer.

    scores = x W + b for the tokens of the passage; P(start = i) is the softmax of scores[:, 0]
    over the tokens, P(end = j) that of scores[:, 1]. "No answer" is the span (0, 0), the token
    [CLS], which therefore is part of both softmaxes. All other tokens score -30000.

    For your own models, with labels (B, 2). `ExtractiveQA` needs no layer: it trains the dense
    layer of the encoder's family with `SpanLoss`.

    Args:
        no_answer: True if there may be no answer; False masks [CLS] too.
        kernel_initializer: initializer of W.

    Call arguments:
        inputs: pair `[x, mask]`: x (B, T, D) and mask (B, T), int or bool, nonzero for tokens of
            the passage. That is `PassageWindow.mask` of `encode_passages`; BERT's segment ids work
            too (then the final [SEP] is not masked).

    Returns:
        Scores (B, T, 2).

    Source: Devlin et al., BERT, 2018 (arXiv:1810.04805), sections 4.2 and 4.3.
    """

    def __init__(
        self, no_answer: bool = True, kernel_initializer: Any = "glorot_uniform", **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.no_answer = no_answer
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.dense = keras.layers.Dense(
            2, kernel_initializer=self.kernel_initializer, dtype=self.dtype_policy, name="dense"
        )

    def build(self, input_shape):
        self.dense.build(input_shape[0])

    def call(self, inputs):
        x, mask = inputs
        is_open = ops.not_equal(ops.cast(mask, "int32"), 0)
        if self.no_answer:
            first = ops.equal(ops.arange(ops.shape(x)[1], dtype="int32"), 0)
            is_open = ops.logical_or(is_open, first[None])
        scores = self.dense(x)
        return ops.where(is_open[:, :, None], scores, ops.cast(_OUTSIDE, scores.dtype))

    @staticmethod
    @function_of("SpanExtraction")
    def loss(y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute minus the mean log-probability of start and end.

        Args:
            y_true: int (B, 2), positions of the first and the last token; (0, 0) is "no answer".
                Negative positions are ignored.
            scores: (B, T, 2).

        Returns:
            (B,)
        """
        labels = ops.cast(y_true, "int32")
        check_label_range(labels, ops.shape(scores)[1], "SpanExtraction", "positions")
        known = ops.cast(ops.greater_equal(labels, 0), "float32")
        scores = ops.cast(scores, "float32")
        log_probs = scores - ops.logsumexp(scores, axis=1, keepdims=True)
        places = ops.maximum(labels, 0)[:, None]
        chosen = ops.take_along_axis(log_probs, places, axis=1)[:, 0]
        # Not a product with `known`: 0 times -inf would be NaN.
        chosen = ops.where(known > 0, chosen, 0.0)
        return -ops.sum(chosen, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)

    def decode(
        self, scores: Tensor, top: int = 1, max_length: int = 30, threshold: float = 0.0
    ) -> list[list[ScoredSpan]]:
        """Find the best spans of each row; for long texts see `tasks.reading.answers.read_answers`.

        Args:
            scores: (B, T, 2), an array.
            top: maximum number of spans per row.
            max_length: maximum number of tokens of an answer.
            threshold: a span must exceed the score of "no answer" by more than this; -inf always
                answers.

        Returns:
            For each row spans [start, end) of tokens, best first; their score is the sum of both
            scores, minus that of "no answer" if `no_answer`. Empty: no answer.
        """
        found = []
        for row in as_scores(ops.convert_to_numpy(scores)):
            allowed = ~is_masked(row)
            none = float(row[0].sum()) if self.no_answer else 0.0
            if self.no_answer:
                allowed[0] = False
            spans = [
                span._replace(score=span.score - none)
                for span in best_spans(row, top, max_length, allowed)
            ]
            limit = threshold if self.no_answer else -float("inf")
            found.append([span for span in spans if span.score > limit])
        return found

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:2], 2)

    def get_config(self):
        return {
            **super().get_config(),
            "no_answer": self.no_answer,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@serializable
class SpanLoss(keras.losses.Loss):
    """Minus the mean log-probability of the start and the end of an answer.

    The probability of a token is a softmax over the tokens of the passage and, if there may be no
    answer, the token that means "no answer".

    Call arguments:
        y_true: (B, T, 2): 1 at the first token of the answer in [..., 0] and at the last one in
            [..., 1]; 0 at other tokens of the softmax; below 0 at question and padding. A row
            without any 1 has loss 0.
        y_pred: (B, T, 2), scores without activation.

    Source: Devlin et al., BERT, 2018 (arXiv:1810.04805), section 4.2 and 4.3.
    """

    def __init__(self, reduction="sum_over_batch_size", name="span_loss", **kwargs):
        super().__init__(reduction=reduction, name=name, **kwargs)

    def __call__(self, y_true, y_pred, sample_weight=None):
        # Without the Keras mask: it weights tokens, but this loss has one value per text.
        return super().__call__(y_true, without_mask(y_pred), sample_weight)

    def call(self, y_true, y_pred):
        labels, scores = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        scores = ops.where(ops.greater_equal(labels, 0.0), scores, lowest("float32"))
        log_probs = scores - ops.logsumexp(scores, axis=1, keepdims=True)
        chosen = ops.greater(labels, 0.5)
        total = ops.sum(ops.where(chosen, log_probs, 0.0), axis=(1, 2))
        return -total / ops.maximum(ops.sum(ops.cast(chosen, "float32"), axis=(1, 2)), 1.0)

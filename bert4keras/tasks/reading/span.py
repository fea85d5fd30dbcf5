"""Extractive reading comprehension: where in the passage the answer starts and ends."""

from __future__ import annotations

import keras
from keras import ops

from ..._labels import check_labels
from ..._scores import is_masked, lowest
from ..._serialization import function_of, serializable
from ...layers.masking import EndsMask, without_mask
from ..finite import as_scores
from .answers import ScoredSpan, best_spans

# Score of a token that cannot be part of an answer, the same in every dtype.
OUTSIDE = lowest("float16")


@serializable
class SpanExtraction(EndsMask, keras.layers.Layer):
    """Scores of each token as the first and as the last of the answer.

    scores = x W + b for the tokens of the passage; P(start = i) is the softmax of scores[:, 0]
    over the tokens, P(end = j) that of scores[:, 1]. "There is no answer" is the span (0, 0), the
    token [CLS], which therefore takes part in both. All other tokens score -30000.

    Args:
        no_answer: whether there may be no answer; False closes [CLS] too.
        kernel_initializer: initializer of W.

    Call arguments:
        inputs: pair `[x, mask]`: x (B, T, D) and mask (B, T), int or bool, nonzero for the tokens
            among which the answer is. That is `PassageWindow.mask` of `encode_passages`, or for
            BERT's segment ids these themselves (then the final [SEP] is open as well).

    Returns:
        Scores (B, T, 2).

    Source: Devlin et al., BERT, 2018 (arXiv:1810.04805), sections 4.2 and 4.3.
    """

    def __init__(self, no_answer: bool = True, kernel_initializer="glorot_uniform", **kwargs):
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
        return ops.where(is_open[:, :, None], scores, ops.cast(OUTSIDE, scores.dtype))

    @staticmethod
    @function_of("SpanExtraction")
    def loss(y_true, scores):
        """Minus the mean log-probability of the start and of the end.

        Args:
            y_true: int (B, 2), positions of the first and of the last token; (0, 0) is "no
                answer". What is below 0 does not count.
            scores: (B, T, 2).

        Returns:
            (B,)
        """
        labels = ops.cast(y_true, "int32")
        check_labels(labels, ops.shape(scores)[1], "SpanExtraction", "positions")
        known = ops.cast(ops.greater_equal(labels, 0), "float32")
        scores = ops.cast(scores, "float32")
        log_probs = scores - ops.logsumexp(scores, axis=1, keepdims=True)
        places = ops.maximum(labels, 0)[:, None]
        chosen = ops.take_along_axis(log_probs, places, axis=1)[:, 0]
        # Not a product with `known`: 0 times a score of -30000 is right, of -inf it would not be.
        chosen = ops.where(known > 0, chosen, 0.0)
        return -ops.sum(chosen, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)

    def decode(
        self, scores, top: int = 1, max_length: int = 30, threshold: float = 0.0
    ) -> list[list[ScoredSpan]]:
        """The best spans of each row; for texts in windows see `tasks.reading.read_answers`.

        Args:
            scores: (B, T, 2), an array.
            top: spans wanted of each row.
            max_length: tokens of an answer at most.
            threshold: a span must be better than "no answer" by more than this; -inf always
                answers.

        Returns:
            For each row spans [start, end) of tokens, the best first; the score is the sum of both
            scores minus that of "no answer" (if there is such a thing). Empty: no answer.
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
    """Minus the mean log-probability of the start and of the end of an answer.

    The probability of a token is a softmax over the tokens that may be chosen: those of the
    passage and, if there may be no answer, the one that stands for that.

    Call arguments:
        y_true: (B, T, 2), 1 at the first token of the answer in [..., 0] and at the last in
            [..., 1]; 0 at others that may be chosen; below 0 at the question and at padding. A row
            without any 1 has the loss 0.
        y_pred: (B, T, 2), scores without activation.

    Source: Devlin et al., BERT, 2018 (arXiv:1810.04805), section 4.2 and 4.3.
    """

    def __init__(self, reduction="sum_over_batch_size", name="span_loss", **kwargs):
        super().__init__(reduction=reduction, name=name, **kwargs)

    def __call__(self, y_true, y_pred, sample_weight=None):
        # Without the Keras mask of the tokens, by which a loss per text cannot be weighted.
        return super().__call__(y_true, without_mask(y_pred), sample_weight)

    def call(self, y_true, y_pred):
        labels, scores = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        scores = ops.where(ops.greater_equal(labels, 0.0), scores, lowest("float32"))
        log_probs = scores - ops.logsumexp(scores, axis=1, keepdims=True)
        chosen = ops.greater(labels, 0.5)
        total = ops.sum(ops.where(chosen, log_probs, 0.0), axis=(1, 2))
        return -total / ops.maximum(ops.sum(ops.cast(chosen, "float32"), axis=(1, 2)), 1.0)

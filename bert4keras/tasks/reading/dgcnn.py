"""DGCNN: question answering with dilated gated convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ..._scores import lowest
from ..._serialization import function_of, serializable
from ..._types import Tensor
from ...layers.embeddings import TokenEmbedding
from ...layers.masking import CarriesMask, EndsMask
from ..finite import as_scores
from .answers import ScoredSpan, best_spans


@serializable
class DilatedGatedConvolution(CarriesMask, keras.layers.Layer):
    """Residual convolution with a gate between input and output.

        [h, g] = Conv1D(x),    s = sigmoid(dropout(g)),    y = x (1 - s) + h s

    If the widths differ, x in the sum is a linear map of x. Padding is set to zero before and after
    the convolution, so the output of a text does not depend on the padded length.

    Args:
        filters: width D of the output; None: width of the input.
        kernel_size: number of tokens in the kernel.
        dilation: distance between these tokens.
        dropout: rate on the gate's input.

    Call arguments:
        inputs: pair `[x, mask]`: x (B, T, C) and mask (B, T), nonzero for tokens.

    Returns:
        (B, T, D).

    Source: Su Jianlin, https://kexue.fm/archives/5409; Dauphin et al., Language Modeling with Gated
    Convolutional Networks, 2016 (arXiv:1612.08083).
    """

    def __init__(
        self,
        filters: int | None = None,
        kernel_size: int = 3,
        dilation: int = 1,
        dropout: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.dilation = filters, kernel_size, dilation
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        width = input_shape[0][-1]
        filters = self.filters or width
        options = {"padding": "same", "dtype": self.dtype_policy}
        self.convolution = keras.layers.Conv1D(
            2 * filters,
            self.kernel_size,
            dilation_rate=self.dilation,
            name="convolution",
            **options,
        )
        self.convolution.build(input_shape[0])
        self.skip = None
        if filters != width:
            self.skip = keras.layers.Dense(filters, use_bias=False, dtype=self.dtype_policy)
            self.skip.build(input_shape[0])

    def call(self, inputs, training=None):
        x, mask = inputs
        mask = _token_column(mask, x.dtype)
        x = x * mask
        h, gate = ops.split(self.convolution(x), 2, axis=-1)
        gate = ops.sigmoid(self.dropout(gate, training=training))
        x = x if self.skip is None else self.skip(x)
        return (x * (1 - gate) + h * gate) * mask

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:2], self.filters or input_shape[0][-1])

    def get_config(self):
        config = {"filters": self.filters, "kernel_size": self.kernel_size}
        config |= {"dilation": self.dilation, "dropout": self.dropout.rate}
        return {**super().get_config(), **config}


@serializable
class AttentionPooling(EndsMask, keras.layers.Layer):
    """Weighted mean of a text's vectors by additive attention: (B, T, D) to (B, D).

    The weights are the softmax over the tokens of tanh(x W) v.

    Args:
        units: width of the attention; None: width of the input.

    Call arguments:
        inputs: pair `[x, mask]`, as of `DilatedGatedConvolution`. A row of only padding gives
            zeros.

    Source: Su Jianlin, https://kexue.fm/archives/5409.
    """

    def __init__(self, units: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        width = input_shape[0][-1]
        options = {"use_bias": False, "dtype": self.dtype_policy}
        self.hidden = keras.layers.Dense(
            self.units or width, activation="tanh", name="hidden", **options
        )
        self.hidden.build(input_shape[0])
        self.score = keras.layers.Dense(1, name="score", **options)
        self.score.build((None, None, self.units or width))

    def call(self, inputs):
        x, mask = inputs
        scores = self.score(self.hidden(x))
        mask = _token_column(mask, scores.dtype)
        scores = ops.where(mask > 0, scores, lowest(scores.dtype))
        weights = ops.exp(scores - ops.max(scores, axis=1, keepdims=True)) * mask
        # The sum is at least 1 if there is a token. (`ops.softmax` warns of texts of one token.)
        weights = weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1)
        return ops.sum(x * weights, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], input_shape[0][-1])

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@serializable
class DGCNN(EndsMask, keras.layers.Layer):
    """Predict start and end probabilities of an answer from question and passage vectors.

        q   = pooling(blocks(question))                                  (B, D)
        p   = blocks(Dense([passage, features, q]))                      (B, T, D)
        a   = sigmoid(Dense(pooling([p, q])))  P(there is an answer)     (B, 1)
        out = sigmoid(Dense([p, q])) a                                   (B, T, 2)

    with blocks of `DilatedGatedConvolution`. The probabilities are float32.

    Args:
        units: width D.
        question_dilations, passage_dilations: dilation of each block.
        dropout: rate on the gates.

    Call arguments:
        inputs: `[question, question_mask, passage, passage_mask]`, optionally followed by features
            of the passage's tokens: vectors (B, S, C) and (B, T, C); masks (B, S) and (B, T),
            nonzero for tokens; features (B, T, F).

    Returns:
        Probabilities (B, T, 2) that the token is the first, and the last, of an answer; 0 at
        padding.

    Source: Su Jianlin, https://kexue.fm/archives/5409 and 6906.
    """

    def __init__(
        self,
        units: int = 128,
        question_dilations: Sequence[int] = (1, 2, 1),
        passage_dilations: Sequence[int] = (1, 2, 4, 8, 16, 1),
        dropout: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units, self.dropout = units, dropout
        self.question_dilations = tuple(question_dilations)
        self.passage_dilations = tuple(passage_dilations)
        policy = self.dtype_policy

        def blocks(side, dilations):
            return [
                DilatedGatedConvolution(
                    units, dilation=rate, dropout=dropout, dtype=policy, name=f"{side}_{i}"
                )
                for i, rate in enumerate(dilations)
            ]

        self.question_blocks = blocks("question", self.question_dilations)
        self.passage_blocks = blocks("passage", self.passage_dilations)
        self.question_pooling = AttentionPooling(dtype=policy, name="question_pooling")
        self.passage_pooling = AttentionPooling(dtype=policy, name="passage_pooling")
        self.join = keras.layers.Dense(units, use_bias=False, dtype=policy, name="join")
        # Half precision rounds probabilities near 0 or 1 too much.
        options = {"activation": "sigmoid", "dtype": "float32"}
        self.answerable = keras.layers.Dense(1, name="answerable", **options)
        self.ends = keras.layers.Dense(2, name="ends", **options)

    def build(self, input_shape):
        question, _, passage, _, *features = input_shape
        for shape, stack in ((question, self.question_blocks), (None, self.passage_blocks)):
            for block in stack:
                block.build([shape or (None, None, self.units), None])
                shape = None
        question_width = self.units if self.question_blocks else question[-1]
        self.question_pooling.build([(None, None, question_width), None])
        width = passage[-1] + question_width + sum(shape[-1] for shape in features)
        self.join.build((None, None, width))
        both = self.units + question_width
        self.passage_pooling.build([(None, None, both), None])
        self.answerable.build((None, both))
        self.ends.build((None, None, both))

    def call(self, inputs, training=None):
        question, question_mask, passage, passage_mask, *features = inputs
        for block in self.question_blocks:
            question = block([question, question_mask], training=training)
        q = self.question_pooling([question, question_mask])[:, None]

        def beside_q(*parts):
            everywhere = ops.broadcast_to(q, (*ops.shape(passage)[:2], q.shape[-1]))
            return ops.concatenate([*(ops.cast(x, q.dtype) for x in parts), everywhere], axis=-1)

        p = self.join(beside_q(passage, *features))
        for block in self.passage_blocks:
            p = block([p, passage_mask], training=training)
        p = beside_q(p)
        answerable = self.answerable(self.passage_pooling([p, passage_mask]))
        return self.ends(p) * answerable[:, None] * _token_column(passage_mask, "float32")

    @staticmethod
    @function_of("DGCNN")
    def loss(y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute 100 times the mean focal loss (alpha 0.25, gamma 2) of starts and of ends.

        Args:
            y_true: (B, T, 2), 1 where any occurrence of an answer starts or ends, 0 elsewhere,
                below 0 at padding.
            scores: (B, T, 2), probabilities.

        Returns:
            (B,)

        Source: Lin et al., Focal Loss for Dense Object Detection, 2017 (arXiv:1708.02002).
        """
        y_true = ops.cast(y_true, "float32")
        known = ops.cast(ops.greater_equal(y_true, 0), "float32")
        losses = keras.losses.binary_focal_crossentropy(
            ops.maximum(y_true, 0.0)[..., None],
            ops.cast(scores, "float32")[..., None],
            apply_class_balancing=True,
        )
        return 100 * ops.sum(
            ops.sum(losses * known, axis=1) / ops.maximum(ops.sum(known, axis=1), 1.0), axis=-1
        )

    def decode(
        self, scores: Tensor, threshold: float = 0.1, max_length: int = 12, top: int = 20
    ) -> list[list[ScoredSpan]]:
        """Find the spans of each row whose start and end probabilities exceed a threshold.

        Args:
            scores: (B, T, 2), an array of probabilities.
            threshold: both probabilities must be above this.
            max_length: maximum number of tokens of an answer.
            top: maximum number of spans per row.

        Returns:
            For each row spans [start, end) of tokens, best first; the score is the product of both
            probabilities. `aggregate_answers` combines several passages.
        """
        return [
            best_spans(row, top, max_length, row > threshold, np.multiply)
            for row in as_scores(ops.convert_to_numpy(scores))
        ]

    def compute_output_shape(self, input_shape):
        return (*input_shape[2][:2], 2)

    def get_config(self):
        names = ("units", "question_dilations", "passage_dilations", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def build_dgcnn(
    vocab_size: int,
    features: int = 0,
    word_vectors: np.ndarray | None = None,
    embedding_size: int = 128,
    dropout: float = 0.1,
    **options: Any,
) -> keras.Model:
    """Build DGCNN on learned character embeddings, the original model.

    It encodes question and passage separately and can use word vectors. `ExtractiveQA.build(None,
    head="dgcnn")` builds a variant that reads both in one row.

    Args:
        vocab_size: number of token ids; 0 is padding.
        features: number F of features of the passage's tokens, see `match_features`.
        word_vectors: (V, C), vectors of words, not trained; row 0 is for "no word". They are
            projected to `embedding_size` and added at each character of the word.
        embedding_size: width of the embedding.
        dropout: rate on the embedding and on the gates.
        **options: of `DGCNN`.

    Returns:
        A model with the inputs question ids (B, S), passage ids (B, T), with word vectors the word
        ids of both, with features these (B, T, F), and the output probabilities (B, T, 2). Its
        layer "DGCNN" has `loss` and `decode`.
    """
    names = ["Question", "Passage"]
    tokens = [keras.Input((None,), dtype="int32", name=f"{name}-Token") for name in names]
    inputs = list(tokens)
    embedding = TokenEmbedding(vocab_size, embedding_size, name="Embedding-Token")
    vectors = [embedding(ids) for ids in tokens]
    if word_vectors is not None:
        words = [keras.Input((None,), dtype="int32", name=f"{name}-Word") for name in names]
        table = keras.layers.Embedding(*np.shape(word_vectors), trainable=False, name="Words")
        project = keras.layers.Dense(embedding_size, use_bias=False, name="Words-Projection")
        added = [project(table(ids)) for ids in words]
        table.set_weights([np.asarray(word_vectors, "float32")])
        vectors = [x + y for x, y in zip(vectors, added, strict=True)]
        inputs += words
    drop = keras.layers.Dropout(dropout, name="Embedding-Dropout")
    question, passage = (drop(x) for x in vectors)
    more = [keras.Input((None, features), name="Passage-Features")] if features else []
    head = DGCNN(dropout=dropout, name="DGCNN", **options)
    scores = head([question, tokens[0], passage, tokens[1], *more])
    return keras.Model([*inputs, *more], scores)


def _token_column(mask: Tensor, dtype: str) -> Tensor:
    """Return (B, T, 1): 1 for tokens and 0 for padding."""
    return ops.cast(ops.not_equal(ops.cast(mask, "int32"), 0), dtype)[:, :, None]

"""LSTM model of CCKS 2019: finds mentions in a text and links them, without pretraining.

Symbols: B batch, T tokens of the text, S tokens of a description, D and E widths, F features.
"""

from __future__ import annotations

import types
from collections.abc import Hashable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ..._checks import check_places
from ..._scores import is_masked, lowest
from ..._serialization import function_of, serializable
from ..._types import Tensor
from ...layers.attention import MultiHeadAttention
from ...layers.embeddings import TokenEmbedding
from ...layers.masking import CarriesMask, EndsMask
from ..finite import as_scores
from ..pooling import tokens_at
from ..relations.triples import half_pointers


@serializable
class BiLSTM(CarriesMask, keras.layers.Layer):
    """Stack of bidirectional LSTMs that skip padding; its output at padding is zero.

    Args:
        units: width of each direction.
        depth: number of layers.

    Call arguments:
        inputs: pair `[x, mask]`: (B, T, D), and (B, T), nonzero for tokens; padding on the right.

    Returns:
        (B, T, 2 units).

    Raises:
        ValueError: units or depth below 1.

    Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; Schuster and Paliwal,
    Bidirectional Recurrent Neural Networks, 1997.
    """

    def __init__(self, units: int, depth: int = 1, **kwargs):
        super().__init__(**kwargs)
        if units < 1 or depth < 1:
            raise ValueError(f"units={units} and depth={depth} must be at least 1.")
        self.units, self.depth = units, depth
        # Bidirectional copies its layer. On loading a file, Keras identifies originals by memory
        # address. If one were freed, the next could get the same address, so keep them all.
        self._originals = types.SimpleNamespace(layers=[])

        def layer(number: int):
            # cuDNN refuses rows of only padding, such as empty descriptions.
            lstm = keras.layers.LSTM(
                units, return_sequences=True, use_cudnn=False, dtype=self.dtype_policy
            )
            self._originals.layers.append(lstm)
            return keras.layers.Bidirectional(lstm, dtype=self.dtype_policy, name=f"lstm_{number}")

        self.layers = [layer(number) for number in range(depth)]

    def build(self, input_shape):
        shape = tuple(input_shape[0])
        for layer in self.layers:
            layer.build(shape)
            shape = (*shape[:-1], 2 * self.units)

    def call(self, inputs, training=None):
        x, mask = inputs
        mask = ops.not_equal(ops.cast(mask, "int32"), 0)
        for layer in self.layers:
            # The mask freezes the state at padding, so the backward LSTM starts at the last token.
            x = layer(x, mask=mask, training=training)
        return x * ops.cast(mask, x.dtype)[:, :, None]

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:-1], 2 * self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "depth": self.depth}


@serializable
class CCKS2019Pointer(EndsMask, keras.layers.Layer):
    """Predict starts and ends of mentions among the names that a dictionary finds.

        h = relu(convolution of width 3 over x),    scores = h W + b

    A token at which no name starts (ends) cannot start (end) a mention, and has no part in the
    loss. (The published model multiplies its probability by 0, which adds a constant to the loss if
    the name is missing from the dictionary.)

    Args:
        units: width of h.

    Call arguments:
        inputs: pair `[x, flags]`: (B, T, D), and `name_boundary_flags` (B, T, 2), 0 at padding.

    Returns:
        (B, T, 2), float32: log-odds of a start and of an end; `lowest` where the flag is 0.

    Source: the half-pointers of Su Jianlin's model for CCKS 2019,
    https://kexue.fm/archives/6919.
    """

    def __init__(self, units: int = 128, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units={units} must be at least 1.")
        self.units = units
        self.convolution = keras.layers.Conv1D(
            units, 3, padding="same", activation="relu", dtype=self.dtype_policy, name="convolution"
        )
        self.convolution.supports_masking = True  # else Keras warns of inputs with a mask
        self.ends = keras.layers.Dense(2, dtype="float32", name="ends")

    def build(self, input_shape):
        if tuple(input_shape[1][2:]) != (2,):
            raise ValueError(f"The flags must have shape (B, T, 2), not {tuple(input_shape[1])}.")
        self.convolution.build(input_shape[0])
        self.ends.build((None, None, self.units))

    def call(self, inputs):
        x, flags = inputs
        scores = self.ends(self.convolution(x))
        return ops.where(ops.cast(flags, "int32") > 0, scores, lowest("float32"))

    @staticmethod
    @function_of("CCKS2019Pointer")
    def loss(y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute binary cross-entropy of starts plus that of ends, means over flagged tokens.

        Args:
            y_true: (B, T, 2), 0 or 1; below 0 is ignored.
            scores: (B, T, 2).

        Returns:
            (B,)
        """
        s, y = ops.cast(scores, "float32"), ops.cast(y_true, "float32")
        counted = ops.logical_and(y >= 0, ~is_masked(s, "float32"))
        s = ops.where(counted, s, 0)
        losses = ops.where(counted, ops.softplus(s) - y * s, 0)
        counts = ops.sum(ops.cast(counted, "float32"), axis=1)
        return ops.sum(ops.sum(losses, axis=1) / ops.maximum(counts, 1), axis=-1)

    @staticmethod
    def decode(scores: Tensor, start: float = 0.4, end: float = 0.4) -> list[list[tuple[int, int]]]:
        """Find the token spans `[start, end)` of each text, from every start to the next end.

        Args:
            scores: (B, T, 2).
            start, end: minimum probabilities of a start and of an end.
        """
        scores = as_scores(ops.convert_to_numpy(scores))[:, :, None]
        return [[(i, j + 1) for _, i, j in half_pointers(row, start, end)] for row in scores]

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs[0].shape[:2], 2), dtype="float32")

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@serializable
class CCKS2019Matching(EndsMask, keras.layers.Layer):
    """Predict the log-odds that a mention in a text is the entity of a description.

        q = BiLSTM([text, m, features]),    m = 1 inside the mention, else 0
        d = BiLSTM(description)
        a = max over the text of q + attention(q, d)
        b = max over the description of d + attention(d, q)
        score = relu([a, b, q at the mention's first token, q at its last] W + c) v + e

    Args:
        units: width U of each direction of the LSTMs; W has 2 U columns.
        heads: number of attention heads.
        dropout: rate on the input of W.

    Call arguments:
        inputs: `[text, text_mask, mention, description, description_mask]`, optionally followed by
            features of the text's tokens: vectors (B, T, D) and (B, S, E); masks, nonzero for
            tokens, padding on the right; first and last token of the mention, int (B, 2); features
            (B, T, F). A description may be empty (only padding).

    Returns:
        (B, 1), float32.

    Raises:
        ValueError: units or heads below 1, heads that do not divide 2 U, a dropout rate outside
            [0, 1], other inputs.

    Source: the model of Su Jianlin for CCKS 2019, https://kexue.fm/archives/6919, which has the
    mean of the mention's vectors in place of the two, and the attention without the residual sum.
    """

    def __init__(self, units: int = 64, heads: int = 8, dropout: float = 0.2, **kwargs):
        super().__init__(**kwargs)
        if units < 1 or heads < 1 or 2 * units % heads:
            raise ValueError(
                f"units={units}: 2 * units = {2 * units} must be a multiple of heads={heads}."
            )
        self.units, self.heads = units, heads
        policy = self.dtype_policy
        self.dropout = keras.layers.Dropout(dropout, dtype=policy)
        self.query, self.description = (
            BiLSTM(units, dtype=policy, name=name) for name in ("query", "description")
        )
        self.to_description, self.to_query = (
            MultiHeadAttention(heads, 2 * units // heads, dtype=policy, name=name)
            for name in ("to_description", "to_query")
        )
        self.inner = keras.layers.Dense(2 * units, "relu", dtype=policy, name="inner")
        self.score = keras.layers.Dense(1, dtype="float32", name="score")

    def build(self, input_shape):
        if len(input_shape) not in (5, 6):
            raise ValueError(
                "The inputs must be [text, text_mask, mention, description, description_mask] and "
                f"optionally features, not {len(input_shape)}."
            )
        text, _, _, description, _, *features = input_shape
        width = text[-1] + 1 + sum(shape[-1] for shape in features)
        self.query.build([(None, None, width), None])
        self.description.build([description, None])
        width = 2 * self.units
        for attention in (self.to_description, self.to_query):
            attention.build((None, None, width))
        self.inner.build((None, 4 * width))
        self.score.build((None, width))

    def call(self, inputs, training=None):
        text, text_mask, mention, description, description_mask, *features = inputs
        mention = check_places(ops.cast(mention, "int32"), text, self.name)
        places = ops.arange(ops.shape(text)[1], dtype="int32")[None, :]
        inside = ops.logical_and(places >= mention[:, :1], places <= mention[:, 1:])[:, :, None]
        parts = [text, *(ops.cast(part, text.dtype) for part in (inside, *features))]
        q = self.query([ops.concatenate(parts, axis=-1), text_mask], training=training)
        d = self.description([description, description_mask], training=training)
        q_mask, d_mask = (
            ops.not_equal(ops.cast(mask, "int32"), 0) for mask in (text_mask, description_mask)
        )
        a = q + self.to_description(q, d, d_mask[:, None, None, :], training=training)
        b = d + self.to_query(d, q, q_mask[:, None, None, :], training=training)
        ends = tokens_at(q, mention)
        ends = ops.reshape(ends, (-1, 4 * self.units))
        joined = ops.concatenate([_highest(a, q_mask), _highest(b, d_mask), ends], axis=-1)
        return self.score(self.inner(self.dropout(joined, training=training)))

    @staticmethod
    @function_of("CCKS2019Matching")
    def loss(y_true: Tensor, scores: Tensor) -> Tensor:
        """Compute binary cross-entropy, (B,).

        Args:
            y_true: (B,) or (B, 1), 1 if it is that entity, else 0; below 0 is ignored.
            scores: (B, 1).
        """
        s, y = (ops.reshape(ops.cast(tensor, "float32"), (-1,)) for tensor in (scores, y_true))
        return ops.where(y >= 0, ops.softplus(s) - y * s, 0)

    @staticmethod
    def decode(
        scores: Tensor, groups: Sequence[tuple[Hashable, Any]], threshold: float = 0.5
    ) -> dict[Hashable, tuple[Any, float]]:
        """Find the best candidate of each mention, if it is probable enough.

        Args:
            scores: (N, 1), of N pairs of a mention and a candidate.
            groups: for each pair (key of the mention, candidate).
            threshold: minimum probability of the best candidate.

        Returns:
            For each key (candidate, its probability), or (None, that probability).

        Raises:
            ValueError: different numbers of groups and scores.
        """
        scores = as_scores(ops.convert_to_numpy(scores)).reshape(-1)
        if len(scores) != len(groups):
            raise ValueError(f"{len(groups)} groups for {len(scores)} scores.")
        best: dict = {}
        for (mention, candidate), score in zip(groups, scores, strict=True):
            if mention not in best or score > best[mention][1]:
                best[mention] = (candidate, score)
        chances = {key: (c, float(np.exp(-np.logaddexp(0, -s)))) for key, (c, s) in best.items()}
        return {key: (c if p >= threshold else None, p) for key, (c, p) in chances.items()}

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor((inputs[0].shape[0], 1), dtype="float32")

    def get_config(self):
        config = {"units": self.units, "heads": self.heads, "dropout": self.dropout.rate}
        return {**super().get_config(), **config}


def build_ccks2019(
    vocab_size: int,
    features: int = 0,
    word_vectors: np.ndarray | None = None,
    embedding_size: int = 128,
    units: int = 64,
    heads: int = 8,
    dropout: float = 0.2,
) -> keras.Model:
    """Build the model of CCKS 2019: it finds mentions and compares one with an entity.

    Both parts share the vectors of the text: a `BiLSTM` of depth 2 over the embeddings and the
    flags of names.

    Args:
        vocab_size: number of token ids; 0 is padding.
        features: number F of features of the text's tokens, which mark overlap with the
            description.
        word_vectors: (V, C), vectors of words, not trained; row 0 is for "no word". They are
            projected to `embedding_size` and added at each character of the word.
        embedding_size: width of the embedding.
        units: width of each direction of the LSTMs.
        heads: number of heads of the attentions between text and description.
        dropout: rate on the embedding and before the last layers.

    Returns:
        A model with the outputs "Mentions" (B, T, 2) and "Same-Entity" (B, 1), named after their
        layers, which have `loss` and `decode`: `compile(loss=[mentions.loss, same.loss])`. Its
        inputs are the text's token ids (B, T); flags of names (B, T, 2); with word vectors, its
        word ids (B, T); the mention's first and last token (B, 2); the description's token ids
        (B, S); with word vectors, its word ids (B, S); with features, these (B, T, F). Mentions
        need only the first two (three): `keras.Model(model.inputs[:2], model.outputs[0])`.

    Source: Su Jianlin, https://kexue.fm/archives/6919.
    """
    text, description = (
        keras.Input((None,), dtype="int32", name=f"{name}-Token")
        for name in ("Text", "Description")
    )
    names = keras.Input((None, 2), dtype="int32", name="Text-Names")
    mention = keras.Input((2,), dtype="int32", name="Mention")
    inputs = [[text, names], [mention, description]]
    embedding = TokenEmbedding(vocab_size, embedding_size, name="Embedding-Token")
    vectors = [embedding(ids) for ids in (text, description)]
    if word_vectors is not None:
        words = [
            keras.Input((None,), dtype="int32", name=f"{name}-Word")
            for name in ("Text", "Description")
        ]
        table = keras.layers.Embedding(*np.shape(word_vectors), trainable=False, name="Words")
        project = keras.layers.Dense(embedding_size, use_bias=False, name="Words-Projection")
        vectors = [x + project(table(ids)) for x, ids in zip(vectors, words, strict=True)]
        table.set_weights([np.asarray(word_vectors, "float32")])
        inputs = [[*part, ids] for part, ids in zip(inputs, words, strict=True)]
    drop = keras.layers.Dropout(dropout, name="Embedding-Dropout")
    x, y = (drop(part) for part in vectors)
    x = keras.layers.Concatenate(name="Text-Embedding")([x, ops.cast(names, x.dtype)])
    x = BiLSTM(units, 2, name="Text")([x, text])
    scores = CCKS2019Pointer(2 * units, name="Mentions")([x, names])
    more = [keras.Input((None, features), name="Text-Features")] if features else []
    matching = CCKS2019Matching(units, heads, dropout, name="Same-Entity")
    same = matching([x, text, mention, y, description, *more])
    return keras.Model([*inputs[0], *inputs[1], *more], [scores, same])


def _highest(x: Tensor, mask: Tensor) -> Tensor:
    """Return the maximum of each coordinate over the tokens, (B, D); 0 without tokens."""
    mask = mask[:, :, None]
    highest = ops.max(ops.where(mask, x, lowest(x.dtype)), axis=1)
    return ops.where(ops.any(mask, axis=1), highest, 0)

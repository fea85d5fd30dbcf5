"""Token embedding, both ways: ids to vectors and vectors to scores over the vocabulary."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._checks import check_ids
from .._serialization import serializable


def check_token_ids(token_ids: Any, vocab_size: int) -> Any:
    """`check_ids` for those of tokens."""
    return check_ids(
        token_ids,
        vocab_size,
        "token id {id} at {place} is outside the model's vocabulary of {limit} tokens. Tokenizer "
        "and model do not belong together, or `keep_tokens` was given to only one of them.",
    )


def check_segment_ids(segment_ids: Any, count: int, kind: str = "segment") -> Any:
    """`check_ids` for those of segments, or of another `kind` that tells texts apart."""
    return check_ids(
        segment_ids,
        count,
        kind + " id {id} at {place} is outside the model's {limit} " + kind + "s. If these are "
        "token ids, the inputs are swapped: token ids come first, then segment ids.",
    )


@serializable
class TokenEmbedding(keras.layers.ReversibleEmbedding):
    """Vectors of token ids; with `reverse=True` the scores of vectors over the vocabulary.

    Call arguments:
        inputs: int (B, T), or float (B, T, E) with `reverse`.
        reverse: multiply by the transposed table (tied language-model head).

    Returns:
        (B, T, E), or (B, T, V) with `reverse`.

    Raises:
        ValueError: an id out of range; from a compiled function the backend's own error type.
    """

    def __init__(self, input_dim, output_dim, **kwargs):
        super().__init__(input_dim, output_dim, **kwargs)
        self.supports_masking = True  # also with `reverse`, where Keras would drop the mask

    def compute_mask(self, inputs, mask=None):
        return mask

    def call(self, inputs, reverse=False):
        if not reverse:
            inputs = check_token_ids(inputs, self.input_dim)
        return super().call(inputs, reverse=reverse)


@serializable
class SegmentEmbedding(keras.layers.Embedding):
    """Vectors of segment ids (B, T): (B, T, E).

    Args:
        constant: read every id as 0. So ids may tell a mask what is source and what is target,
            and mean nothing to a model with one segment (RoBERTa).
        kind: what the ids are called in errors.
        input_dim, output_dim, **kwargs: of `keras.layers.Embedding`.

    Raises:
        ValueError: an id out of range; from a compiled function the backend's own error type.
    """

    def __init__(
        self, input_dim, output_dim, constant: bool = False, kind: str = "segment", **kwargs
    ):
        super().__init__(input_dim, output_dim, **kwargs)
        self.constant, self.kind = constant, kind

    def call(self, inputs):
        if self.constant:
            return super().call(ops.zeros_like(inputs))
        return super().call(check_segment_ids(inputs, self.input_dim, self.kind))

    def get_config(self):
        return {**super().get_config(), "constant": self.constant, "kind": self.kind}


@serializable
class FactorizedTokenEmbedding(TokenEmbedding):
    """`TokenEmbedding` whose vectors of width E are widened by a matrix of its own, both ways.

    Args:
        width: D, of the vectors returned.
        input_dim, output_dim, **kwargs: of `TokenEmbedding`.

    Call arguments:
        inputs: int (B, T), or float (B, T, D) with `reverse`.

    Returns:
        (B, T, D), or (B, T, V) with `reverse`.
    """

    def __init__(self, input_dim, output_dim, width: int, **kwargs):
        super().__init__(input_dim, output_dim, **kwargs)
        self.width = width

    def build(self, input_shape=None):
        super().build(input_shape)
        # A layer, since an embedding saves no weight of its own but its table.
        self.projection = keras.layers.Dense(
            self.width,
            use_bias=False,
            kernel_initializer=self.embeddings_initializer.clone(),
            dtype=self.dtype_policy,
            name="projection",
        )
        self.projection.build((None, None, self.output_dim))

    def call(self, inputs, reverse=False):
        if not reverse:
            return self.projection(super().call(inputs))
        kernel = ops.cast(self.projection.kernel, inputs.dtype)
        return super().call(ops.matmul(inputs, ops.transpose(kernel)), reverse=True)

    def compute_output_shape(self, input_shape, reverse=False):
        return (*input_shape[:-1], self.input_dim) if reverse else (*input_shape, self.width)

    def compute_output_spec(self, inputs, reverse=False):
        shape = self.compute_output_shape(inputs.shape, reverse)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "width": self.width}

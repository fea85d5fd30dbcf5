"""Embeddings of tokens and segments; a token embedding also maps vectors to vocabulary scores."""

from __future__ import annotations

import keras
from keras import ops

from .._checks import check_ids
from .._lookup import Lookup, look_up
from .._serialization import serializable
from .._types import Tensor


def check_token_ids(token_ids: Tensor, vocab_size: int) -> Tensor:
    """Refuse token ids outside the vocabulary, see `check_ids`."""
    return check_ids(
        token_ids,
        vocab_size,
        "token id {id} at {place} is outside the model's vocabulary of {limit} tokens. Tokenizer "
        "and model do not belong together, or `keep_tokens` was given to only one of them.",
    )


def check_segment_ids(segment_ids: Tensor, count: int, kind: str = "segment") -> Tensor:
    """Refuse segment ids, or ids of another `kind`, of `count` or more, see `check_ids`."""
    return check_ids(
        segment_ids,
        count,
        kind + " id {id} at {place} is outside the model's {limit} " + kind + "s. If these are "
        "token ids, the inputs are swapped: token ids come first, then segment ids.",
    )


@serializable
class TokenEmbedding(keras.layers.ReversibleEmbedding):
    """Embedding of token ids; with `reverse=True` scores of vectors over the vocabulary.

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
        self.supports_masking = True  # with `reverse` too, where Keras would drop the mask

    def compute_mask(self, inputs, mask=None):
        return mask

    def call(self, inputs, reverse=False):
        if reverse:
            return super().call(inputs, reverse=True)
        return look_up(self, check_token_ids(inputs, self.input_dim))


@serializable
class SegmentEmbedding(Lookup):
    """Embedding of segment ids: (B, T) to (B, T, E).

    Args:
        constant: read every id as 0. So a model with one segment (RoBERTa) can have segment ids
            for its mask, to separate source and target.
        kind: name of the ids in errors.
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
    """`TokenEmbedding` followed by a matrix E x D; with `reverse` its transpose comes first.

    Args:
        width: D, width of the vectors returned.
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
        # A layer, since Keras' embedding saves no weight except its table.
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

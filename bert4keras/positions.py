"""Where a token is: position strategies, a set of hooks that do nothing unless overridden.

Positions are always an explicit int tensor, so custom ids, left padding, packed documents and
cached decoding steps go through the same code.

Legend: B batch, T query length, S key length, N heads, H head size, E embedding size.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from ._serialization import Strategy, serializable


@serializable
@dataclasses.dataclass(frozen=True)
class Position(Strategy):
    """No positions at all; the base of the strategies.

    A family names one (`Transformer.position`), and the assembler calls each hook at its place.
    """

    def embed(self, transformer: Any, x: Any, positions: Any) -> Any:
        """Add to the embeddings `x` (B, T, E); may create layers through `transformer.apply`."""
        return x

    def bias(self, transformer: Any, q_positions: Any, k_positions: Any) -> Any | None:
        """Finite term for the attention scores, (B|1, N, T, S); computed once per forward."""
        return None

    def rotate(self, query: Any, key: Any, positions: Any) -> tuple[Any, Any]:
        """Turn queries and keys (B, T, N, H) by their positions (B|1, T)."""
        return query, key

    @property
    def rotates(self) -> bool:
        """Whether attention layers must be given the positions."""
        return type(self).rotate is not Position.rotate


@serializable
@dataclasses.dataclass(frozen=True)
class Learned(Position):
    """A trained vector per position, added to the token embedding (BERT)."""

    def embed(self, transformer, x, positions):
        config = transformer.config
        vectors = transformer.apply(
            positions,
            PositionEmbedding,
            name="Embedding-Position",
            input_dim=config.max_position,
            output_dim=config.embedding_size,
            embeddings_initializer=transformer.initializer,
        )
        return transformer.apply([x, vectors], keras.layers.Add, name="Embedding-Position-Add")


@serializable
class PositionEmbedding(keras.layers.Embedding):
    """Embedding of positions that refuses a sequence longer than its table, where it can see one.

    Call arguments:
        inputs: int tensor (B|1, T), positions `0 .. input_dim-1`.

    Raises:
        ValueError: the static length exceeds the table (JAX would return NaN, without a word).
    """

    def call(self, inputs):
        length = inputs.shape[1]
        if length is not None and length > self.input_dim:
            raise ValueError(
                f"a sequence of {length} tokens is longer than the model's {self.input_dim} "
                f"positions. Truncate it: tokenizer.encode(text, maxlen={self.input_dim})."
            )
        return super().call(inputs)


@serializable
class PositionIds(keras.layers.Layer):
    """Positions `0 .. S-1` for token ids of shape (B, S); returns int32 of shape (1, S)."""

    def build(self, input_shape):
        self.built = True

    def call(self, token_ids):
        return ops.arange(ops.shape(token_ids)[1], dtype="int32")[None, :]

    def compute_output_spec(self, token_ids):
        return keras.KerasTensor((1, token_ids.shape[1]), dtype="int32")

"""Position layers of 0.11 that take vectors, not position ids."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._compat import take_rows
from .._types import Shape, Tensor
from ..backend import sinusoidal_embeddings
from ..layers.bucket_embedding import distance_buckets
from . import PACKAGE, Masks, Shapes, Tensors


@keras.saving.register_keras_serializable(PACKAGE)
class SinusoidalPositionEmbedding(keras.layers.Layer):
    """Sinusoidal vectors of the positions, merged with the inputs.

    Args:
        output_dim: width of the vectors.
        merge_mode: "add"; "mul": multiply by 1 + vector; "zero": only the vectors; any other:
            concatenate.
        custom_position_ids: the second input has the positions; else they are 0, 1, ...

    Call arguments:
        inputs: x (B, T, D), or a list of x and positions (B, T).

    Returns:
        (B, T, D) with "add" and "mul", (B|1, T, output_dim) with "zero", else
        (B, T, D + output_dim).
    """

    def __init__(
        self,
        output_dim: int,
        merge_mode: str = "add",
        custom_position_ids: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.output_dim, self.merge_mode = output_dim, merge_mode
        self.custom_position_ids = custom_position_ids
        self.supports_masking = True

    def call(self, inputs: Tensors) -> Tensor:
        if self.custom_position_ids:
            x, positions = inputs
        else:
            x, positions = inputs, ops.arange(ops.shape(inputs)[1], dtype="int32")[None]
        vectors = ops.cast(sinusoidal_embeddings(positions, self.output_dim), x.dtype)
        if self.merge_mode == "add":
            return x + vectors
        if self.merge_mode == "mul":
            return x * (vectors + 1)
        if self.merge_mode == "zero":
            return vectors
        return ops.concatenate([x, ops.zeros_like(x[..., :1]) + vectors], axis=-1)

    def compute_mask(self, inputs: Tensors, previous_mask: Masks = None) -> Tensor | None:
        return previous_mask[0] if self.custom_position_ids and previous_mask else previous_mask

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        *front, width = input_shape[0] if self.custom_position_ids else input_shape
        if self.merge_mode == "zero":
            return (*front, self.output_dim)
        if self.merge_mode in ("add", "mul"):
            return (*front, width)
        return (*front, width + self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_dim": self.output_dim,
            "merge_mode": self.merge_mode,
            "custom_position_ids": self.custom_position_ids,
        }


@keras.saving.register_keras_serializable(PACKAGE)
class RelativePositionEmbedding(keras.layers.Layer):
    """A vector for each distance between two positions, up to a largest distance.

    Args:
        input_dim: number of distances, odd: from -(input_dim - 1) / 2 to (input_dim - 1) / 2.
        output_dim: width of the vectors.
        embeddings_initializer: of the vectors.

    Call arguments:
        inputs: queries (B, T, D) and keys (B, S, E); only their lengths are used.

    Returns:
        (T, S, output_dim).

    Source: Shaw et al., Self-Attention with Relative Position Representations, 2018
    (arXiv:1803.02155).
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: str | keras.initializers.Initializer = "zeros",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.input_dim, self.output_dim = input_dim, output_dim
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.supports_masking = True

    def build(self, input_shape: Shapes) -> None:
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
        )

    def call(self, inputs: Tensors) -> Tensor:
        query, key = (ops.arange(ops.shape(x)[1], dtype="int32") for x in inputs)
        return take_rows(self.embeddings, self.rows(key[None, :] - query[:, None]))

    def rows(self, distance: Tensor) -> Tensor:
        """Return the row of each distance, key minus query: int (T, S) to the same."""
        largest = (self.input_dim - 1) // 2
        return ops.clip(distance, -largest, largest) + largest

    def compute_mask(self, inputs: Tensors, previous_mask: Masks = None) -> None:
        return None

    def compute_output_spec(self, inputs: Tensors) -> keras.KerasTensor:
        lengths = [x.shape[1] for x in inputs]
        return keras.KerasTensor((*lengths, self.output_dim), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }


@keras.saving.register_keras_serializable(PACKAGE)
class RelativePositionEmbeddingT5(RelativePositionEmbedding):
    """A vector for each bucket of distances, which are wider the longer the distances are.

    Args:
        input_dim: number of buckets.
        output_dim, embeddings_initializer, **kwargs: of `RelativePositionEmbedding`.
        max_distance: distances from here on share the last bucket.
        bidirectional: half of the buckets are for keys after the query.

    Source: Raffel et al., Exploring the Limits of Transfer Learning, 2019 (arXiv:1910.10683).
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        max_distance: int = 128,
        bidirectional: bool = True,
        **kwargs: Any,
    ):
        super().__init__(input_dim, output_dim, **kwargs)
        self.max_distance, self.bidirectional = max_distance, bidirectional

    def rows(self, distance: Tensor) -> Tensor:
        limit = self.max_distance
        buckets = distance_buckets(self.input_dim, limit, self.bidirectional)
        return ops.take(buckets, ops.clip(distance, -limit, limit) + limit, axis=0)

    def get_config(self) -> dict[str, Any]:
        options = {"max_distance": self.max_distance, "bidirectional": self.bidirectional}
        return {**super().get_config(), **options}

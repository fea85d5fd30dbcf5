"""Layers of position ids: one counts the tokens of a row, one checks ids that the user gives.

Legend: B batch, S length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from ._checks import check_ids
from ._serialization import revive, serializable
from ._types import Shape, Tensor

if TYPE_CHECKING:
    from .masks import Mask


@serializable
class PositionIds(keras.layers.Layer):
    """Position ids of token ids (B, S): `0 .. S-1`, int32 of shape (1, S).

    Args:
        pad_token_id: count only tokens with another id, from `pad_token_id + 1`, and give padding
            the position `pad_token_id`; the result is then (B, S).
        max_length: largest number of tokens that can have a position; None: no limit.
        strategy: a `Mask` whose `position_mask` says which tokens count; None: all of them.
        hidden_id: with a strategy, id of padding. Padding gets the first position, since no token
            sees it and there may be more of it than `max_length`.

    Call arguments:
        inputs: int (B, S); with a strategy a dict of `token_ids` and the inputs of the strategy.

    Raises:
        ValueError: a text has more than `max_length` tokens (JAX would silently return NaN).
    """

    def __init__(
        self,
        pad_token_id: int | None = None,
        max_length: int | None = None,
        strategy: Mask | None = None,
        hidden_id: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.pad_token_id, self.max_length = pad_token_id, max_length
        self.strategy, self.hidden_id = revive(strategy), hidden_id

    def build(self, input_shape: Shape) -> None:
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        if self.strategy is not None:
            return self._within_texts(inputs)
        length = inputs.shape[1]
        # The length of an exported function is a symbol, which cannot be compared with a number.
        if isinstance(length, int) and self.max_length is not None and length > self.max_length:
            raise ValueError(
                f"a sequence of {length} tokens is longer than the model's {self.max_length} "
                f"positions. Truncate it: tokenizer.encode(text, maxlen={self.max_length})."
            )
        if self.pad_token_id is None:
            return ops.arange(ops.shape(inputs)[1], dtype="int32")[None, :]
        counted = ops.cast(ops.not_equal(inputs, self.pad_token_id), "int32")
        return ops.cumsum(counted, axis=1) * counted + self.pad_token_id

    def _within_texts(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return position ids (B, S) that count only the tokens of `strategy.position_mask`."""
        token_ids, counted = inputs["token_ids"], self.strategy.position_mask(inputs)
        index = ops.arange(ops.shape(token_ids)[1], dtype="int32")
        counted = ops.logical_and(counted, index[None, :, None] >= index[None, None, :])
        pad = self.hidden_id if self.pad_token_id is None else self.pad_token_id
        real = ops.ones_like(token_ids, dtype="bool")
        if pad is not None:
            real = ops.not_equal(token_ids, pad)
        if self.pad_token_id is not None:
            counted = ops.logical_and(counted, real[:, None, :])
        numbers = ops.where(real, ops.sum(ops.cast(counted, "int32"), axis=2), 1)
        if self.max_length is not None:
            numbers = 1 + check_ids(
                numbers - 1,
                self.max_length,
                "the token at {place} is number {id} (from 0) of its text, and the model has "
                "{limit} positions. Truncate each text: tokenizer.encode(text, maxlen={limit}).",
            )
        if self.pad_token_id is None:
            return numbers - 1
        return ops.where(real, numbers, 0) + self.pad_token_id

    def compute_output_spec(self, inputs):
        shape = (inputs if self.strategy is None else inputs["token_ids"]).shape
        # One row serves a whole batch, but Keras would infer batch size 1 for sums with it.
        return keras.KerasTensor(shape[:2], dtype="int32")

    def get_config(self):
        strategy = self.strategy and keras.saving.serialize_keras_object(self.strategy)
        own = {"strategy": strategy, "hidden_id": self.hidden_id}
        options = {"pad_token_id": self.pad_token_id, "max_length": self.max_length}
        return {**super().get_config(), **options, **own}


@serializable
class CustomPositionIds(keras.layers.Layer):
    """The user's own position ids (B, S), unchanged but checked.

    Args:
        max_position: ids must be in `0 .. max_position-1`. Rows may be longer: ids may repeat.

    Raises:
        ValueError: an id out of range; from a compiled function the backend's own error type.
    """

    def __init__(self, max_position: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.max_position = max_position

    def call(self, positions: Tensor) -> Tensor:
        return check_ids(
            positions,
            self.max_position,
            "position {id} at {place} is outside the model's {limit} positions. Positions count "
            "from 0; a long text is cut by tokenizer.encode(text, maxlen=...).",
        )

    def get_config(self):
        return {**super().get_config(), "max_position": self.max_position}

"""The layers that number the tokens of a row, or look at numbers that the caller gives.

Legend: B batch, S length.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ._checks import check_ids
from ._serialization import revive, serializable


@serializable
class PositionIds(keras.layers.Layer):
    """Positions of token ids (B, S): `0 .. S-1`, int32 of shape (1, S).

    Args:
        pad_token_id: count from `pad_token_id + 1` over what is no padding, and give padding
            `pad_token_id` itself; the result is then (B, S).
        reach: how many tokens can have a position; None: any number.
        strategy: a `Mask` whose `position_mask` says which tokens count; None: all of them.
        hidden_id: with a strategy, id of padding, which gets the first position: no one sees it,
            and it may be longer than `reach`.

    Call arguments:
        inputs: int (B, S); with a strategy a dict of `token_ids` and what the strategy needs.

    Raises:
        ValueError: a text is longer than `reach` (JAX would return NaN, without a word).
    """

    def __init__(
        self,
        pad_token_id: int | None = None,
        reach: int | None = None,
        strategy: Any = None,
        hidden_id: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.pad_token_id, self.reach = pad_token_id, reach
        self.strategy, self.hidden_id = revive(strategy), hidden_id

    def build(self, input_shape):
        self.built = True

    def call(self, inputs):
        if self.strategy is not None:
            return self.within_texts(inputs)
        length = inputs.shape[1]
        # The length of an exported function is a symbol, which no number is compared with.
        if isinstance(length, int) and self.reach is not None and length > self.reach:
            raise ValueError(
                f"a sequence of {length} tokens is longer than the model's {self.reach} positions. "
                f"Truncate it: tokenizer.encode(text, maxlen={self.reach})."
            )
        if self.pad_token_id is None:
            return ops.arange(ops.shape(inputs)[1], dtype="int32")[None, :]
        counted = ops.cast(ops.not_equal(inputs, self.pad_token_id), "int32")
        return ops.cumsum(counted, axis=1) * counted + self.pad_token_id

    def within_texts(self, inputs):
        """Positions (B, S) that start anew where the strategy says so."""
        token_ids, counted = inputs["token_ids"], self.strategy.position_mask(inputs)
        places = ops.arange(ops.shape(token_ids)[1], dtype="int32")
        counted = ops.logical_and(counted, places[None, :, None] >= places[None, None, :])
        pad = self.hidden_id if self.pad_token_id is None else self.pad_token_id
        real = ops.ones_like(token_ids, dtype="bool")
        if pad is not None:
            real = ops.not_equal(token_ids, pad)
        if self.pad_token_id is not None:
            counted = ops.logical_and(counted, real[:, None, :])
        numbers = ops.where(real, ops.sum(ops.cast(counted, "int32"), axis=2), 1)
        if self.reach is not None:
            numbers = 1 + check_ids(
                numbers - 1,
                self.reach,
                "the token at {place} is number {id} (from 0) of its text, and the model has "
                "{limit} positions. Truncate each text: tokenizer.encode(text, maxlen={limit}).",
            )
        if self.pad_token_id is None:
            return numbers - 1
        return ops.where(real, numbers, 0) + self.pad_token_id

    def compute_output_spec(self, inputs):
        shape = (inputs if self.strategy is None else inputs["token_ids"]).shape
        # One row serves a whole batch, but Keras would pass a 1 on to all that is added to it.
        return keras.KerasTensor(shape[:2], dtype="int32")

    def get_config(self):
        strategy = self.strategy and keras.saving.serialize_keras_object(self.strategy)
        own = {"strategy": strategy, "hidden_id": self.hidden_id}
        options = {"pad_token_id": self.pad_token_id, "reach": self.reach}
        return {**super().get_config(), **options, **own}


@serializable
class GivenPositions(keras.layers.Layer):
    """Positions (B, S) that the caller gives, as they are, each looked at.

    Args:
        reach: they lie in `0 .. reach-1`. The row itself may be longer: positions may repeat.

    Raises:
        ValueError: a position out of range; from a compiled function the backend's own error type.
    """

    def __init__(self, reach: int, **kwargs):
        super().__init__(**kwargs)
        self.reach = reach

    def call(self, positions):
        return check_ids(
            positions,
            self.reach,
            "position {id} at {place} is outside the model's {limit} positions. Positions count "
            "from 0; a long text is cut by tokenizer.encode(text, maxlen=...).",
        )

    def get_config(self):
        return {**super().get_config(), "reach": self.reach}

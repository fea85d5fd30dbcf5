"""The layer that turns a strategy and the padding into a mask.

Legend: B batch, T query length, S key length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from .._serialization import serializable
from .._types import Shape, Tensor
from .bands import Band, banded_mask, candidates, saves_work
from .base import Inputs, Mask
from .strategies import get_mask


def padding_mask(inputs: Inputs, pad_token_id: int | None, start_token: bool = False) -> Tensor:
    """Return a mask that is False at padding, bool (B, S); arguments as of `AttentionMask`."""
    if "padding_mask" in inputs:
        return ops.cast(inputs["padding_mask"], "bool")
    token_ids = inputs["token_ids"]
    if start_token and "document_ids" in inputs:  # each document begins with a start token
        return ops.greater(inputs["document_ids"], 0)
    if pad_token_id is None:
        return ops.ones_like(token_ids, dtype="bool")
    mask = ops.not_equal(token_ids, pad_token_id)
    if start_token:
        # Not `arange`: Keras also computes masks on symbols, whose length is None.
        mask = ops.logical_or(mask, ops.equal(ops.cumsum(ops.ones_like(token_ids), axis=1), 1))
    return mask


@serializable
class AttentionMask(keras.layers.Layer):
    """Combine a strategy and the padding into one boolean mask, True for visible keys.

    Args:
        strategy: a `Mask`, its application name, or its serialised form.
        pad_token_id: token id of padding, which is never visible; None: no token is padding.
        start_token: the first position holds a start token, which is visible whatever its id (T5
            starts its decoder with the padding id). With `document_ids` each document begins with
            one, and only document 0 is padding.
        bands: `strategy.bands`, if the attention layers compute in bands; empty: a dense mask.

    Call arguments:
        inputs: dict of int tensors (B, S): `token_ids`, the `input_names` of the strategy, and
            optionally `padding_mask` (bool or 0/1, False at padding), which then replaces the
            comparison of token ids with `pad_token_id`.
        query_index: (T,) int, index in the sequence of each query; None means all.
        query_stream: a position does not see itself, see `Mask.visible`.

    Returns:
        bool (B, 1, T, S), or (B, 1, 1, S) if the strategy is full. With bands, on a whole sequence
        which is long enough for them: `bands.banded_mask`, (B, 1, 1, T, c).
    """

    def __init__(
        self,
        strategy: Mask | str = "encoder",
        pad_token_id: int | None = 0,
        start_token: bool = False,
        bands: Sequence[Sequence[int | None]] = (),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.strategy = get_mask(strategy)
        self.pad_token_id = pad_token_id
        self.start_token = start_token
        self.bands = tuple(Band(*band) for band in bands)

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        self.built = True

    def call(
        self, inputs: Inputs, query_index: Tensor | None = None, query_stream: bool = False
    ) -> Tensor:
        length = ops.shape(inputs["token_ids"])[1]
        real = padding_mask(inputs, self.pad_token_id, self.start_token)
        if query_index is None and saves_work(self.bands, length):
            return banded_mask(self.strategy, self.bands, inputs, real, query_stream)
        real, key_index = ops.expand_dims(real, (1, 2)), ops.arange(length, dtype="int32")
        query_index = key_index if query_index is None else query_index
        visible = self.strategy.visible(inputs, query_index, key_index, query_stream)
        if visible is not None and len(visible.shape) != 3:
            raise ValueError(f"the rule of {self.strategy} must be (B|1, T, S): add `[None]`.")
        return real if visible is None else ops.logical_and(visible[:, None], real)

    def compute_output_spec(self, inputs, query_index=None, query_stream=False):
        batch, length = inputs["token_ids"].shape
        if query_index is None and saves_work(self.bands, length):
            shape = (batch, 1, 1, length, candidates(self.bands, length))
            return keras.KerasTensor(shape, dtype="bool")
        queries = length if query_index is None else query_index.shape[0]
        if self.strategy.is_full:
            queries = 1
        return keras.KerasTensor((batch, 1, queries, length), dtype="bool")

    def get_config(self):
        strategy = keras.saving.serialize_keras_object(self.strategy)
        return {
            **super().get_config(),
            "strategy": strategy,
            "pad_token_id": self.pad_token_id,
            "start_token": self.start_token,
            "bands": [list(band) for band in self.bands],
        }

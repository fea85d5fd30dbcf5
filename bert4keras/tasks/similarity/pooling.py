"""From a vector per token to a vector per text, in the ways of sentence-transformers.

Legend: B texts, T tokens, D size of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from ..._serialization import serializable
from ...layers.masking import ReadsPadding, first_shape
from ...layers.pooling import mean
from ..pooling import tokens_at


def _cls(x, real):
    return x[:, 0]


def _max(x, real):
    highest = ops.max(ops.where(real[:, :, None], x, float("-inf")), axis=1)
    return ops.where(ops.any(real, axis=1, keepdims=True), highest, 0.0)


def _mean_sqrt_len(x, real):
    counted = ops.cast(real, x.dtype)[:, :, None]
    return ops.sum(x * counted, axis=1) / ops.sqrt(ops.maximum(ops.sum(counted, axis=1), 1))


def _weighted_mean(x, real):
    places = ops.arange(1, ops.shape(x)[1] + 1, dtype=x.dtype)[None, :, None]
    weights = ops.cast(real, x.dtype)[:, :, None] * places
    return ops.sum(x * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1)


def _last(x, real):
    places = ops.arange(ops.shape(x)[1], dtype="int32")[None, :]
    last = ops.max(ops.where(real, places, 0), axis=1)
    return tokens_at(x, last[:, None])[:, 0]


MODES: dict[str, Callable[[Any, Any], Any]] = {
    "cls": _cls,
    "mean": mean,
    "max": _max,
    "mean_sqrt_len_tokens": _mean_sqrt_len,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}
MODES["mean_sqrt_len"] = _mean_sqrt_len
_FULL_NAMES = {"mean_sqrt_len": "mean_sqrt_len_tokens"}


@serializable
class SentencePooling(ReadsPadding, keras.layers.Layer):
    """One vector for each text, float32: (B, T, D) to (B, D). A row of padding only gives zeros.

    Args:
        mode: `"cls"`, the vector of the first token; `"mean"`; `"max"`, of every component;
            `"mean_sqrt_len_tokens"` (or `"mean_sqrt_len"`), the sum divided by the square root of
            the number of tokens; `"weightedmean"`, in which token i counts i times; or
            `"lasttoken"`. Padding counts in none of them.
        pad_token_id: as in `MaskedMeanPooling`.

    Raises:
        ValueError: another mode; or nothing that tells tokens from padding.

    Source: Reimers and Gurevych, Sentence-BERT, 2019 (arXiv:1908.10084); the weighted mean:
        Muennighoff, SGPT, 2022 (arXiv:2202.08904).
    """

    def __init__(self, mode: str = "mean", pad_token_id: int | None = None, **kwargs: Any):
        super().__init__(**{"dtype": "float32", **kwargs})
        if mode not in MODES:
            raise ValueError(f"pooling {mode!r} must be one of {', '.join(MODES)}.")
        self.mode, self.pad_token_id = _FULL_NAMES.get(mode, mode), pad_token_id

    def call(self, inputs, mask=None):
        return MODES[self.mode](self.split(inputs)[0], self.real_tokens(inputs, mask))

    def compute_output_shape(self, input_shape):
        shape = first_shape(input_shape)
        return (shape[0], shape[-1])

    def get_config(self):
        return {**super().get_config(), "mode": self.mode, "pad_token_id": self.pad_token_id}

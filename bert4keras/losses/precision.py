"""Precision of the losses."""

from __future__ import annotations

import keras
from keras import ops

from .._types import Tensor


def float32_or_wider(scores: Tensor) -> Tensor:
    """Cast scores to float32, except float64; float16 is too narrow for sums of exponentials."""
    scores = ops.convert_to_tensor(scores)
    return ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))

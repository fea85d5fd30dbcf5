"""Activations by name; the exact and the approximate gelu have different names."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from .._serialization import serializable
from .._types import ActivationLike, Tensor


@serializable
def gelu_tanh(x: Tensor) -> Tensor:
    """Gaussian error linear unit, tanh approximation; same shape as `x`.

    Source: Hendrycks and Gimpel, 2016 (arXiv:1606.08415), the form of Google's BERT code.
    """
    return ops.gelu(x, approximate=True)


def get_activation(name: ActivationLike | None) -> Callable[[Tensor], Tensor]:
    """Return an activation by its name in a config: `"gelu"` is exact (erf), `"gelu_tanh"` not.

    Raises:
        ValueError: the name is unknown, to Keras too.
    """
    if name == "gelu_tanh":
        return gelu_tanh
    try:
        return keras.activations.get(name)
    except ValueError as error:
        raise ValueError(
            f"unknown activation {name!r}: use 'gelu', 'gelu_tanh', 'relu', 'silu', 'tanh' "
            "or another name of keras.activations."
        ) from error

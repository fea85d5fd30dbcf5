"""Activations by name, with the two forms of gelu told apart by name and never by a switch."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from .._serialization import serializable


@serializable
def gelu_tanh(x):
    """Gaussian error linear unit, tanh approximation; same shape as `x`.

    Source: Hendrycks and Gimpel, 2016 (arXiv:1606.08415), the form of Google's BERT code.
    """
    return ops.gelu(x, approximate=True)


def get_activation(name: str | Callable | None) -> Callable:
    """The activation a config names: `"gelu"` is exact (erf), `"gelu_tanh"` approximate.

    Raises:
        ValueError: a name that Keras does not know either.
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

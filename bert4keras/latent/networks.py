"""Plain networks on vectors, of which the models of vectors are made."""

from __future__ import annotations

from collections.abc import Sequence

import keras


def mlp(sizes: Sequence[int], name: str, activation: str = "silu") -> keras.Sequential:
    """Return dense layers with an activation between them, and none after the last.

    The default activation is smooth, since the gradient of an energy is differentiated too.

    Args:
        sizes: units of each layer.
        name: name of the network.
        activation: name of an activation of Keras.
    """
    *inner, last = sizes
    layers = [keras.layers.Dense(size, activation=activation) for size in inner]
    return keras.Sequential([*layers, keras.layers.Dense(last)], name=name)

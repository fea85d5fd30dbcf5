"""Functions that JAX compiles whole."""

from __future__ import annotations

from collections.abc import Callable

import keras


def compiled(function: Callable) -> Callable:
    """Return a function of tensors, on JAX compiled as one program.

    Without that JAX compiles each operation for each new shape, which takes several times as long.
    The other backends compute operations at once.
    """
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)

"""Where backends or versions of Keras differ and our code has to know."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras


@functools.cache
def fused_attention_takes(dtype: str) -> bool:
    """Whether `keras.ops.dot_product_attention` runs in this dtype.

    JAX asks the CPU for a float16 product summed in float32, which its compiler refuses there.
    """
    if dtype != "float16" or keras.backend.backend() != "jax":
        return True
    return not all(device.startswith("cpu") for device in keras.distribution.list_devices())


def check_when_run(values: Any, bad: Callable[[Any], Any], check: Callable[[Any], None]) -> None:
    """Have a compiled JAX function call `check(values)`, which raises, if `bad(values)` holds.

    The other backends raise by themselves what JAX answers with NaN. A function traced for export
    (its lengths are symbols) cannot carry the check.
    """
    if keras.backend.backend() != "jax":
        return
    import jax

    if isinstance(values, jax.core.Tracer) and all(isinstance(n, int) for n in values.shape):
        jax.lax.cond(bad(values), lambda: jax.debug.callback(check, values), lambda: None)


class DrawnSeed(keras.random.SeedGenerator):
    """A generator that always gives one seed, drawn earlier from another.

    A function computed twice (`keras.remat`) must draw the same numbers both times; `keras.random`
    takes no seed that is a tensor, only generators.
    """

    def __init__(self, seed: Any):
        self.seed = seed
        self._initial_seed = 0  # torch's dropout asks whether there is one

    def next(self, ordered: bool = True) -> Any:
        return self.seed

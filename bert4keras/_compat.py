"""Where backends or versions of Keras differ and our code has to know."""

from __future__ import annotations

import functools

import keras


@functools.cache
def fused_attention_takes(dtype: str) -> bool:
    """Whether `keras.ops.dot_product_attention` runs in this dtype.

    JAX asks the CPU for a float16 product summed in float32, which its compiler refuses there.
    """
    if dtype != "float16" or keras.backend.backend() != "jax":
        return True
    return not all(device.startswith("cpu") for device in keras.distribution.list_devices())

"""Differences between backends in what a layer computes."""

from __future__ import annotations

import functools

import keras

from .._types import Tensor


@functools.cache
def fused_attention_supports(dtype: str) -> bool:
    """Return whether `keras.ops.dot_product_attention` runs in this dtype.

    JAX asks the CPU for a float16 product summed in float32, which its compiler refuses there.
    """
    if dtype != "float16" or keras.backend.backend() != "jax":
        return True
    return not all(device.startswith("cpu") for device in keras.distribution.list_devices())


def fused_attention_masks_whole_rows() -> bool:
    """Return whether a boolean mask may hide all keys of a query; on OpenVINO that gives NaN."""
    return keras.backend.backend() != "openvino"


def can_map(count: int | Tensor) -> bool:
    """Return whether `keras.ops.map` can run so often; OpenVINO has to know the number."""
    return isinstance(count, int) or keras.backend.backend() != "openvino"


class FixedSeed(keras.random.SeedGenerator):
    """A generator that returns the same seed at every call.

    A function that is computed twice (`keras.remat`) must draw the same numbers both times, but
    `keras.random` takes a tensor as seed only from a generator.

    Args:
        seed: an earlier result of `SeedGenerator.next`.
    """

    def __init__(self, seed: Tensor):
        self.seed = seed
        self._initial_seed = 0  # torch's dropout tests whether it is None

    def next(self, ordered: bool = True) -> Tensor:
        return self.seed

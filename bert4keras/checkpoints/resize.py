"""Weights of another size: how a trained matrix becomes a start for a larger or smaller one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def orthogonally_resize(array: np.ndarray, shape: Sequence[int], window: int = 2) -> np.ndarray:
    """Repeat or cut the rows and columns of a weight, and keep its norm.

    An axis grows by repeating each group of `window` neighbours, which leaves columns that were
    orthogonal almost so; it shrinks by leaving out its end.

    Args:
        array: of any number of axes.
        shape: wanted, as many axes.
        window: size of the groups; must divide an axis that grows.

    Returns:
        An array of `shape` and of the norm of `array`.

    Raises:
        ValueError: other number of axes, or an axis that `window` does not divide.

    Source: https://kexue.fm/archives/8444.
    """
    if array.ndim != len(shape):
        raise ValueError(f"{array.shape} has not as many axes as {tuple(shape)}")
    result = array
    for axis, (old, new) in enumerate(zip(array.shape, shape, strict=True)):
        if new > old:
            if old % window:
                raise ValueError(f"axis {axis} of {array.shape} is no multiple of {window}")
            groups = result.reshape(*result.shape[:axis], -1, window, *result.shape[axis + 1 :])
            times = -(-new // old)
            repeated = np.repeat(groups, times, axis=axis)
            result = repeated.reshape(*result.shape[:axis], -1, *result.shape[axis + 1 :])
        result = np.take(result, np.arange(new), axis=axis)
    norm = np.linalg.norm(result)
    return result * (np.linalg.norm(array) / norm) if norm else result


def fit_weight(path: str, array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A weight in another size, so scaled that what it computes keeps about its size.

    Args:
        path: our weight path, which tells attention scores and feed-forward layers by name.
        array: the trained weight.
        shape: wanted.
    """
    shape = tuple(shape)
    if array.shape == shape:
        return array
    result, names = orthogonally_resize(array, shape), path.split("/")
    if "query" in names or "key" in names:  # half of the exponent each: scores are products
        return result * (shape[-1] / array.shape[-1]) ** 0.25
    if "inner" in names:
        return result * (shape[-1] / array.shape[-1]) ** 0.5
    if "FeedForward" in path and "output" in names:
        return result * (array.shape[0] / shape[0]) ** 0.5
    return result

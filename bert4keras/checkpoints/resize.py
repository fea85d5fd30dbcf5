"""Resizing of trained weights, as initial values of a larger or smaller model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def orthogonally_resize(array: np.ndarray, shape: Sequence[int], window: int = 2) -> np.ndarray:
    """Repeat or cut the axes of a weight and keep its norm.

    An axis grows by repeating each group of `window` neighbours, so orthogonal columns stay almost
    orthogonal. It shrinks by dropping its end.

    Args:
        array: weight with any number of axes.
        shape: new shape, with as many axes.
        window: size of the groups; it must divide an axis that grows.

    Returns:
        An array of `shape` with the norm of `array`.

    Raises:
        ValueError: another number of axes, or an axis that `window` does not divide.

    Source: https://kexue.fm/archives/8444.
    """
    if array.ndim != len(shape):
        raise ValueError(f"{array.shape} and {tuple(shape)} have different numbers of axes")
    result = array
    for axis, (old, new) in enumerate(zip(array.shape, shape, strict=True)):
        if new > old:
            if old % window:
                raise ValueError(f"axis {axis} of {array.shape} is not a multiple of {window}")
            groups = result.reshape(*result.shape[:axis], -1, window, *result.shape[axis + 1 :])
            times = -(-new // old)
            repeated = np.repeat(groups, times, axis=axis)
            result = repeated.reshape(*result.shape[:axis], -1, *result.shape[axis + 1 :])
        result = np.take(result, np.arange(new), axis=axis)
    norm = np.linalg.norm(result)
    return result * (np.linalg.norm(array) / norm) if norm else result


def _repeat_positions(array: np.ndarray, rows: int) -> np.ndarray:
    """Repeat or cut a table of position vectors; the rows that it has stay as they are.

    So a model computes the same as before for texts of the old length.

    Args:
        array: vectors (N, D).
        rows: new number of rows.

    Source: Beltagy et al., Longformer, 2020 (arXiv:2004.05150), section 5.
    """
    old = len(array)
    # RoBERTa's table has two rows before its first position, 514 in all. A round period leaves
    # these out: row 514 becomes a copy of row 2.
    period = old // 64 * 64 or old
    index = np.arange(rows)
    later = index >= old
    index[later] -= ((index[later] - old) // period + 1) * period
    return array[index]


def fit_weight(path: str, array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Resize a weight and scale it, so that the outputs of its layer keep about their size.

    Positions are repeated, without scaling.

    Args:
        path: path of the weight, which tells queries, keys and feed-forward layers apart.
        array: the trained weight.
        shape: new shape.
    """
    shape = tuple(shape)
    if array.shape == shape:
        return array
    if path.startswith("Embedding-Position/"):
        array = _repeat_positions(array, shape[0])
        return array if array.shape == shape else orthogonally_resize(array, shape)
    result, names = orthogonally_resize(array, shape), path.split("/")
    if "query" in names or "key" in names:  # half the exponent each, since scores are products
        return result * (shape[-1] / array.shape[-1]) ** 0.25
    if "inner" in names:
        return result * (shape[-1] / array.shape[-1]) ** 0.5
    if "FeedForward" in path and "output" in names:
        return result * (array.shape[0] / shape[0]) ** 0.5
    return result

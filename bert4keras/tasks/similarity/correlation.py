"""Pearson's and Spearman's correlation of predicted and given numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def pearson(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """Return Pearson's correlation, the strength of a linear relation of x and y.

    Args:
        x, y: N >= 2 finite numbers each, (N,) or (N, 1) as `predict` returns them.

    Returns:
        A number between -1 and 1; NaN if all of x or all of y are equal (it is not defined).

    Raises:
        ValueError: other shapes, unequal lengths, fewer than 2 numbers, or some not finite.
    """
    return _correlation(*_columns(x, y))


def spearman(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """Return Spearman's rank correlation, Pearson's of the ranks; equal values share a mean rank.

    Arguments, value and errors as in `pearson`.

    Example:
        >>> spearman([0, 1, 1, 2], [5, 6, 7, 8])  # ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4
        0.9486832980505138
    """
    return _correlation(*(ranks(column) for column in _columns(x, y)))


def ranks(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return ranks from 1 (the smallest), float64; equal values share the mean of their ranks."""
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def _columns(x, y) -> list[np.ndarray]:
    columns = []
    for name, values in (("x", x), ("y", y)):
        column = np.asarray(values, dtype="float64")
        if column.ndim == 2 and column.shape[1] == 1:
            column = column[:, 0]
        if column.ndim != 1:
            raise ValueError(f"{name} must be N numbers, not an array of shape {column.shape}.")
        if not np.isfinite(column).all():
            place = int(np.flatnonzero(~np.isfinite(column))[0])
            raise ValueError(f"{name}[{place}] is {column[place]}: no correlation is defined.")
        columns.append(column)
    if len(columns[0]) != len(columns[1]):
        raise ValueError(f"x has {len(columns[0])} numbers, y {len(columns[1])}.")
    if len(columns[0]) < 2:
        raise ValueError(f"A correlation needs at least 2 numbers, got {len(columns[0])}.")
    return columns


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if (x == x[0]).all() or (y == y[0]).all():
        return math.nan
    # Scaled first, so that neither tiny nor huge numbers leave the range of float64.
    x, y = (_centred(column) for column in (x, y))
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def _centred(column: np.ndarray) -> np.ndarray:
    column = column / np.abs(column).max()
    column = column - column.mean()
    return column / np.abs(column).max()

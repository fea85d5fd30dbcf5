"""Scores that no answer can be read from are refused wherever something is decoded."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_scores(scores: Any, what: str = "scores", row: int | None = None) -> np.ndarray:
    """Scores as a float64 array. NaN and +infinity, with which no comparison means anything, raise.

    Args:
        scores: numbers of any shape; -infinity says that something is impossible.
        what: names them in the message.
        row: where they stand in a batch, for the message.

    Raises:
        ValueError: NaN or +infinity, with the first place.
    """
    scores = np.asarray(scores).astype("float64", copy=False)
    if not (scores < np.inf).all():
        raise not_finite(scores, what, row)
    return scores


def not_finite(scores: np.ndarray, what: str, row: int | None = None) -> ValueError:
    """The error of `as_scores` for scores that contain NaN or +infinity."""
    place = tuple(int(i) for i in np.argwhere(~(scores < np.inf))[0])
    where = list(place if row is None else (row, *place))
    value = "NaN" if np.isnan(scores[place]) else "infinity"
    return ValueError(
        f"{what} contain {value} at {where}, so nothing can be decoded from them: the "
        "weights or the inputs of the model are not finite, or float16 overflowed."
    )

"""Check that scores are numbers before answers are decoded from them."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_scores(scores: Any, what: str = "scores", row: int | None = None) -> np.ndarray:
    """Return scores as a float64 array; raise for NaN and +infinity.

    Args:
        scores: numbers of any shape; -infinity means impossible.
        what: name of the scores in the message.
        row: index of the scores in a batch, for the message.

    Raises:
        ValueError: NaN or +infinity; the message names the first index.
    """
    scores = np.asarray(scores).astype("float64", copy=False)
    if not (scores < np.inf).all():
        raise not_finite(scores, what, row)
    return scores


def not_finite(scores: np.ndarray, what: str, row: int | None = None) -> ValueError:
    """Return the error of `as_scores` for scores that contain NaN or +infinity."""
    place = tuple(int(i) for i in np.argwhere(~(scores < np.inf))[0])
    where = list(place if row is None else (row, *place))
    value = "NaN" if np.isnan(scores[place]) else "infinity"
    return ValueError(
        f"{what} contain {value} at {where}, so nothing can be decoded from them: the "
        "weights or the inputs of the model are not finite, or float16 overflowed."
    )

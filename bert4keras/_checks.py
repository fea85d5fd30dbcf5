"""Ids out of range are named wherever they are seen: JAX alone would answer with NaN."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from ._compat import check_when_run

_CHECKED = contextvars.ContextVar("ids are checked", default=True)


@contextlib.contextmanager
def unchecked_ids() -> Iterator[None]:
    """Within, no layer looks whether ids are in range: the caller has done so."""
    token = _CHECKED.set(False)
    try:
        yield
    finally:
        _CHECKED.reset(token)


def check_ids(ids: Any, limit: int, message: str) -> Any:
    """Refuse ids outside `0 .. limit-1`, now or, in a compiled function, when it runs.

    Args:
        ids: int tensor of any shape.
        limit: how many ids there are.
        message: of the error, with {id}, {place} and {limit} to fill in.

    Returns:
        The ids, to be used in place of those given: a compiled TensorFlow function would not wait
        for the check otherwise, and raise an error of its own that names no input.

    Raises:
        ValueError: the message, filled in for the first wrong id.
    """
    if not _CHECKED.get():
        return ids
    try:
        found = np.asarray(ids)
    except Exception:  # each backend has its own error for "this is symbolic" or "on a GPU"
        return check_when_run(
            ids,
            lambda ids: ops.logical_or(ids < 0, ids >= limit),
            lambda ids: check_ids(ids, limit, message),
            message,
            limit,
        )
    if found.dtype == object or not found.size or (found.min() >= 0 and found.max() < limit):
        return ids
    place = tuple(int(i) for i in np.argwhere((found < 0) | (found >= limit))[0])
    raise ValueError(message.format(id=found[place], place=place, limit=limit))


def check_places(places: Any, x: Any, name: str) -> Any:
    """`check_ids` for the places of tokens of a head's vectors `x` (B, T, D)."""
    length = x.shape[1]
    if not isinstance(length, int):
        return places
    message = name + ": place {id} at {place} is outside the {limit} tokens of a row."
    return check_ids(places, length, message)

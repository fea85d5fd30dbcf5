"""Checks of ids against the size of a table, on every backend; JAX itself would return NaN."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import numpy as np
from keras import ops

from ._compat import check_at_runtime
from ._types import Tensor

_CHECKED = contextvars.ContextVar("ids are checked", default=True)


@contextlib.contextmanager
def unchecked_ids() -> Iterator[None]:
    """Turn the checks of layers off inside the context; the caller has checked the ids."""
    token = _CHECKED.set(False)
    try:
        yield
    finally:
        _CHECKED.reset(token)


def check_ids(ids: Tensor, limit: int, message: str) -> Tensor:
    """Refuse ids outside `0 .. limit-1`, now or, in a compiled function, when it runs.

    Args:
        ids: int tensor of any shape.
        limit: number of allowed ids.
        message: text of the error with the fields {id}, {place} and {limit}.

    Returns:
        The ids. Use them instead of the argument: a compiled TensorFlow function then waits for the
        check; otherwise its own error, which names no input, may come first.

    Raises:
        ValueError: `message` with the fields of the first id out of range.
    """
    if not _CHECKED.get():
        return ids
    try:
        found = np.asarray(ids)
    except Exception:  # each backend has its own error for "this is symbolic" or "on a GPU"
        return check_at_runtime(
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


def check_places(places: Tensor, x: Tensor, name: str) -> Tensor:
    """Refuse indices of tokens that are outside the vectors `x` (B, T, D) of a head.

    Args:
        places: int tensor of token indices.
        x: the vectors.
        name: name of the head, for the message.
    """
    length = x.shape[1]
    if not isinstance(length, int):
        return places
    message = name + ": place {id} at {place} is outside the {limit} tokens of a row."
    return check_ids(places, length, message)

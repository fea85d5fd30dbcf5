"""Samples as tasks get them, and the error of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .._json import short_repr


class TaskError(ValueError):
    """Error of a task that cannot be built, saved, loaded or called; it says what to do."""


def pairs_of(samples: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield labelled samples, which must be pairs.

    Raises:
        TaskError: one is no pair; says which.
    """
    for number, pair in enumerate(samples):
        if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise TaskError(
                f"sample {number} is no pair (sample, label) but {short_repr(pair)}. "
                "If a sample consists of several texts, these are one tuple in the pair."
            )
        sample, label = pair
        yield sample, label


def all_samples(samples: Iterable[Any]) -> Iterable[Any]:
    """Return the samples; a text is none, though Python would iterate over its characters."""
    if isinstance(samples, str):
        raise TaskError(f"give a list of samples, or call the task: task({short_repr(samples)}).")
    return samples

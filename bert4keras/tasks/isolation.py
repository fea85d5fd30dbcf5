"""Answers to many samples of which some are wrong: an error instead of an answer to those."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import Task


def predict_each(task: Task, samples: Sequence[Any], batch_size: int = 64) -> list[Any]:
    """Answer samples; one that fails does not keep the others from being answered.

    If the samples fail together, each half of them is tried, down to single ones. So k wrong ones
    among n cost about k log(n) calls more, most of which end before the model runs.

    Args:
        task: the task.
        samples: as of `Task.predict`.
        batch_size: as of `Task.predict`.

    Returns:
        For each sample its answer, or the ValueError (so a `TaskError`) or TypeError that it
        raised. Any other error is raised: it does not come from a sample.
    """
    if not samples:
        return []
    try:
        return list(task.predict(samples, batch_size, progress=False))
    except (ValueError, TypeError) as error:
        if len(samples) == 1:
            return [error]
    middle = len(samples) // 2
    halves = samples[:middle], samples[middle:]
    return [answer for half in halves for answer in predict_each(task, half, batch_size)]

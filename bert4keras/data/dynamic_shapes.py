"""Batches from which Keras on TensorFlow sees which axes vary: it looks at the first two alone."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from .collate import flatten_sample

_LOOKAHEAD = 64  # batches searched for one of another shape, see `put_other_shape_second`


def is_shape_probe() -> bool:
    """Whether Keras on TensorFlow wants batches 0 and 1 only to see which axes vary.

    It does so in the thread that calls `fit` or `predict`; the batches that it uses, it takes in
    others. An axis that is equal in both may not vary later, so that batch 1 is then padded more
    than needed.
    """
    return (
        keras.backend.backend() == "tensorflow"
        and threading.current_thread() is threading.main_thread()
        and multiprocessing.parent_process() is None
    )


def put_other_length_second(batches: list, length: Callable[[Any], Any]) -> list:
    """Move a batch of another length than the first to the second place, if there is one."""
    first = length(batches[0])
    for i in range(1, len(batches)):
        if length(batches[i]) != first:
            batches.insert(1, batches.pop(i))
            break
    return batches


def put_other_shape_second(batches: Iterator, axes_that_vary: Callable[[], int]) -> Iterator:
    """The same batches, the second with other shapes than the first if one is found soon.

    Keras on TensorFlow leaves open only those axes in which the first two batches differ.
    """
    start = list(itertools.islice(batches, 2))
    if len(start) == 2:
        first, wanted = sample_shapes(start[0]), axes_that_vary()
        differences = [0, int((sample_shapes(start[1]) != first).sum())]
        while differences[-1] < wanted and len(start) < _LOOKAHEAD:
            batch = next(batches, None)
            if batch is None:
                break
            start.append(batch)
            differences.append(int((sample_shapes(batch) != first).sum()))
        start.insert(1, start.pop(int(np.argmax(differences)) or 1))
    yield from start
    yield from batches


def sample_shapes(batch: Any) -> np.ndarray:
    """Sizes of all arrays of a batch, without axis 0."""
    return np.array([size for leaf in flatten_sample(batch) for size in np.shape(leaf)[1:]])

"""Workaround: Keras on TensorFlow infers dynamic axes from the first two batches.

An axis of equal size in both gets that size for all batches, and a later batch of another size is
an error. So the first two batches are made to differ in every axis that varies in the data: by
their order, or by additional padding of the second one.
"""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from .collate import flatten_sample

_LOOKAHEAD = 64  # batches that `put_other_shape_second` searches


def is_shape_probe() -> bool:
    """Return whether Keras on TensorFlow asks for batches 0 and 1 only to infer shapes.

    It asks for these in the thread that calls `fit` or `predict`, and for the batches that it uses
    in other threads. Only the former need additional padding.
    """
    return (
        keras.backend.backend() == "tensorflow"
        and threading.current_thread() is threading.main_thread()
        and multiprocessing.parent_process() is None
    )


def put_other_length_second(batches: list, length: Callable[[Any], Any]) -> list:
    """Move the next batch whose length differs from that of the first to index 1."""
    first = length(batches[0])
    for i in range(1, len(batches)):
        if length(batches[i]) != first:
            batches.insert(1, batches.pop(i))
            break
    return batches


def put_other_shape_second(batches: Iterator, axes_that_vary: Callable[[], int]) -> Iterator:
    """Reorder batches so that the second differs from the first in as many axes as possible.

    Args:
        batches: the batches.
        axes_that_vary: function that returns the number of axes that vary in the data; the search
            ends with a batch that differs in so many, or after `_LOOKAHEAD` batches.
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
    """Return the sizes of all axes of all arrays of a batch, except for axis 0 (samples)."""
    return np.array([size for leaf in flatten_sample(batch) for size in np.shape(leaf)[1:]])

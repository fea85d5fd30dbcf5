"""Batches as a `tf.data.Dataset`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .collate import flatten_sample, unflatten_sample

if TYPE_CHECKING:
    import tensorflow as tf

Shapes = list[list[int | None]]


def tensorflow_dataset(
    epoch: Callable[[bool], Iterator],
    random: bool,
    steps: int | None,
    shapes_of: Callable[[list[Sequence[np.ndarray]]], Shapes],
) -> tf.data.Dataset:
    """Make a dataset whose passes are epochs.

    Args:
        epoch: function random -> batches of one epoch, as tuples.
        random: argument for it.
        steps: number of batches; None if unknown.
        shapes_of: function that returns the shapes of all batches, given the arrays of the first.
    """
    import tensorflow as tf

    first = list(itertools.islice(epoch(False), 8))
    columns = list(zip(*map(flatten_sample, first), strict=True))
    specs = [
        tf.TensorSpec(shape, np.asarray(leaves[0]).dtype)
        for shape, leaves in zip(shapes_of(columns), columns, strict=True)
    ]
    dataset = tf.data.Dataset.from_generator(
        lambda: epoch(random), output_signature=unflatten_sample(first[0], iter(specs))
    )
    if steps is not None:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    untuned = tf.data.Options()  # see `DataGenerator.__init__`
    untuned.autotune.enabled = False
    return dataset.prefetch(2).with_options(untuned)


def open_shapes(
    columns: Sequence[Sequence[np.ndarray]],
    rows: int | None,
    varying: Sequence[np.ndarray] | None,
) -> Shapes:
    """Return the shape of each array of a batch, None for axes that may vary.

    Args:
        columns: for each array, those of the first batches.
        rows: size of the batch axis; None if it varies.
        varying: for each array, which axes of a sample vary. None, if the batches are made
            elsewhere: axis 1, which is nearly always the length, and those that vary here.
    """
    found: Shapes = []
    for k, leaves in enumerate(columns):
        shapes = [np.shape(leaf) for leaf in leaves]
        if varying is not None:
            varies = varying[k]
        else:
            axes = range(1, len(shapes[0]))
            varies = np.array([n < 2 or len({shape[n] for shape in shapes}) > 1 for n in axes])
        rest = [None if v else n for v, n in zip(varies, shapes[0][1:], strict=True)]
        found.append([rows, *rest])
    return found

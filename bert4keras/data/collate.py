"""From encoded samples to padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bert4keras.data.padding import round_up, sequence_padding


def tuples(structure: Any) -> Any:
    """Turn the lists of a batch into tuples, at any depth; arrays and dicts stay.

    TensorFlow takes a list in a batch for something to be made into one tensor.
    """
    if isinstance(structure, (list, tuple)):
        return tuple(tuples(item) for item in structure)
    if isinstance(structure, dict):
        return {key: tuples(value) for key, value in structure.items()}
    return structure


class Collator:
    """Joins samples of one structure to a batch, padding the axes whose size varies.

    A sample is an array, a number, a list of numbers, or a (nested) tuple, list or dict of
    these: `[token_ids, segment_ids]` are two arrays. In a tuple (x, y) or (x, y, weight)
    y is padded with `label_value` and the weight with 0.

    Args:
        value: padding of the inputs.
        label_value: padding of labels that are sequences.
        buckets: increasing lengths to which varying axes are padded; None: the batch's own.
    """

    def __init__(self, value: int = 0, label_value: int = -1, buckets: list[int] | None = None):
        self.value, self.label_value, self.buckets = value, label_value, buckets
        self._smallest: list[np.ndarray] | None = None
        self._largest: list[np.ndarray] | None = None

    def pack(self, sample: Any) -> Any:
        """Turn the leaves of a sample into arrays of int32, float32 or bool."""
        if isinstance(sample, dict):
            return {key: self.pack(value) for key, value in sample.items()}
        if isinstance(sample, tuple) or (isinstance(sample, list) and not _is_row(sample)):
            return tuple(self.pack(value) for value in sample)
        array = np.asarray(sample)
        if array.dtype.kind in "iu" or (isinstance(sample, list) and not sample):
            return array.astype("int32")
        if array.dtype.kind in "fb":
            return array.astype("float32") if array.dtype.kind == "f" else array
        raise TypeError(
            f"A sample must be made of numbers, got {type(sample).__name__} {sample!r:.60}; "
            "encode() has to turn text into ids."
        )

    def observe(self, leaves: Sequence[np.ndarray]) -> int:
        """Note which axes vary in size; return the largest axis of the sample that may vary."""
        shapes = [np.array(leaf.shape, "int64") for leaf in leaves]
        if self._smallest is None:
            self._smallest, self._largest = shapes, shapes
        elif [len(s) for s in shapes] != [len(s) for s in self._smallest]:
            raise ValueError(
                "All samples must have the same structure and numbers of axes; one has shapes "
                f"{[tuple(leaf.shape) for leaf in leaves]}."
            )
        self._smallest = [np.minimum(a, b) for a, b in zip(self._smallest, shapes, strict=True)]
        self._largest = [np.maximum(a, b) for a, b in zip(self._largest, shapes, strict=True)]
        return max((int(s.max()) for s in shapes if s.size), default=1)

    def varying(self, k: int) -> np.ndarray:
        """Which axes of the k-th leaf vary in size, as booleans."""
        return self._smallest[k] != self._largest[k]

    def all_varying(self) -> list[np.ndarray]:
        """`varying` of every leaf."""
        return [self.varying(k) for k in range(len(self._smallest))]

    def lengths(self, shapes: np.ndarray) -> np.ndarray:
        """Length of samples: the largest of their varying axes (columns of `shapes`)."""
        varies = np.concatenate(self.all_varying() or [[]])
        varies = varies.astype(bool)
        if not varies.any():
            return np.ones(len(shapes), "int64")
        return shapes[:, varies].max(axis=1)

    def __call__(self, samples: Sequence[Any], extra: int = 0) -> Any:
        """Join packed samples to a batch of arrays with a leading axis B.

        `extra`: by how much more than needed the varying axes are padded.
        """
        columns = zip(*(flatten(sample) for sample in samples), strict=True)
        values = flatten_values(samples[0], self.value, self.label_value)
        joined = [
            self._join(column, self.varying(k), value, extra)
            for k, (column, value) in enumerate(zip(columns, values, strict=True))
        ]
        return unflatten(samples[0], iter(joined))

    def _join(
        self, arrays: Sequence[np.ndarray], varies: np.ndarray, value: int, extra: int
    ) -> np.ndarray:
        if not varies.any():
            return np.stack(arrays)
        depth = int(np.flatnonzero(varies)[-1]) + 1  # padding is of leading axes
        sizes = np.max([a.shape[:depth] for a in arrays], axis=0)
        length = [
            round_up(int(n), self.buckets) + extra if v else int(n)
            for n, v in zip(sizes, varies[:depth], strict=True)
        ]
        return sequence_padding(arrays, length, value, depth, dtype=arrays[0].dtype)


def flatten(sample: Any) -> list[np.ndarray]:
    """The leaves of a packed sample, dicts in the order of their keys' insertion."""
    if isinstance(sample, dict):
        return [leaf for value in sample.values() for leaf in flatten(value)]
    if isinstance(sample, tuple):
        return [leaf for value in sample for leaf in flatten(value)]
    return [sample]


def unflatten(sample: Any, leaves: Any) -> Any:
    """The structure of `sample` with the next items of the iterator `leaves` in it."""
    if isinstance(sample, dict):
        return {key: unflatten(value, leaves) for key, value in sample.items()}
    if isinstance(sample, tuple):
        return tuple(unflatten(value, leaves) for value in sample)
    return next(leaves)


def flatten_values(sample: Any, value: int, label_value: int) -> list[int]:
    """The padding value of each leaf."""
    if isinstance(sample, tuple) and 2 <= len(sample) <= 3:
        per_part = (value, label_value, 0)
        return [v for part, v in zip(sample, per_part, strict=False) for _ in flatten(part)]
    return [value] * len(flatten(sample))


def _is_row(items: list) -> bool:
    """Whether a list is data (numbers) rather than a structure; rows of rows must be arrays."""
    return all(isinstance(item, (bool, int, float, np.generic)) for item in items)

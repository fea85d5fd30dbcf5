"""Collation: encoded samples to padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .padding import round_up, sequence_padding


def lists_to_tuples(structure: Any) -> Any:
    """Convert the lists of a batch to tuples, at any depth.

    TensorFlow would convert a list in a batch to one tensor.
    """
    if isinstance(structure, (list, tuple)):
        return tuple(lists_to_tuples(item) for item in structure)
    if isinstance(structure, dict):
        return {key: lists_to_tuples(value) for key, value in structure.items()}
    return structure


class Collator:
    """Collator of samples of one structure: stacks them, and pads the axes whose size varies.

    A sample is an array, a number, a list of numbers, or a (nested) tuple, list or dict of
    these: `[token_ids, segment_ids]` are two arrays. In a tuple (x, y) or (x, y, weight)
    y is padded with `label_value` and the weight with 0.

    An axis varies if two samples seen so far (`observe`) differ in its size. With the arrays a_s of
    one leaf, of shapes n_s, the batch has the shape (samples, L_1, L_2, ...), where

        L_i = round_up(max over s of n_s[i], buckets)   for an axis i that varies
        L_i = n_s[i]                                    for another one

    and a_s is at the beginning of row s. So a batch has the same padded axes as any other, even
    if its own samples have equal sizes.

    Args:
        value: padding of the inputs: a number, numbers in the structure of the inputs, or an
            object with the padding id of token ids (see `_input_values`). None: the padding id of
            `TokenIds`, and 0 for other inputs.
        label_value: padding of labels that are sequences.
        buckets: increasing lengths to which varying axes are padded; None: the largest size of the
            batch.
    """

    def __init__(self, value: Any = None, label_value: int = -1, buckets: list[int] | None = None):
        self.value, self.label_value, self.buckets = value, label_value, buckets
        self.known: list[int | None] | None = None
        self._values: list[int] | None = None
        self._negative: list[frozenset[int]] = []
        self._smallest: list[np.ndarray] | None = None
        self._largest: list[np.ndarray] | None = None

    def to_arrays(self, sample: Any) -> Any:
        """Convert the leaves of a sample to arrays of int32, float32 or bool."""
        if isinstance(sample, dict):
            return {key: self.to_arrays(value) for key, value in sample.items()}
        if isinstance(sample, tuple) or (isinstance(sample, list) and not _is_row(sample)):
            return tuple(self.to_arrays(value) for value in sample)
        array = np.asarray(sample)
        if array.dtype.kind in "iu" or (isinstance(sample, list) and not sample):
            return array.astype("int32")
        if array.dtype.kind in "fb":
            return array.astype("float32") if array.dtype.kind == "f" else array
        raise TypeError(
            f"A sample must be made of numbers, got {type(sample).__name__} {sample!r:.60}. "
            "encode() must convert text to ids."
        )

    def learn_padding(self, samples: Sequence[Any]) -> None:
        """Take the padding ids from the first encoded sample, if its lists have them."""
        if self.known is None and len(samples):
            self.known = _known_pad_ids(samples[0])

    def note_negative_labels(self, labels: Any) -> None:
        """Record the integers below 0 in the labels of a sample, before padding."""
        leaves = flatten_sample(labels)
        self._negative += [frozenset()] * (len(leaves) - len(self._negative))
        for k, leaf in enumerate(leaves):
            if leaf.dtype.kind == "i" and leaf.size and leaf.min() < 0:
                self._negative[k] |= frozenset(leaf[leaf < 0].tolist())

    def padded(self, batch: Any) -> list[int | None]:
        """Return the padding value of each array of a batch; None if it has no padded axis."""
        values = self.values(batch)
        return [v if self.varying(k).any() else None for k, v in enumerate(values)]

    def ignored_labels(self, batch: Any) -> list[tuple[int | None, frozenset[int]]]:
        """Return for each array of labels its padding, if below 0, and its own values below 0."""
        if not is_sample(batch):
            return []
        start, count = len(flatten_sample(batch[0])), len(flatten_sample(batch[1]))
        padded = self.padded(batch)[start : start + count]
        padded = [pad if pad is not None and pad < 0 else None for pad in padded]
        return list(zip(padded, self._negative[:count], strict=True))

    def values(self, sample: Any) -> list[int]:
        """Return the padding value of each leaf of a sample."""
        if self._values is None:
            parts = sample if is_sample(sample) else (sample,)
            given = self.value
            if given is None:
                given = [pad or 0 for pad in (self.known or [])[: len(flatten_sample(parts[0]))]]
                given = given or 0
            inputs = _input_values(parts[0], given)
            rest = zip(parts[1:], (self.label_value, 0), strict=False)
            self._values = inputs + [v for part, v in rest for _ in flatten_sample(part)]
        return self._values

    def observe(self, leaves: Sequence[np.ndarray]) -> int:
        """Update the smallest and the largest size of each axis.

        Returns:
            The largest size of an axis of this sample.
        """
        shapes = [np.array(leaf.shape, "int64") for leaf in leaves]
        if self._smallest is None:
            self._smallest, self._largest = shapes, shapes
        elif [len(s) for s in shapes] != [len(s) for s in self._smallest]:
            raise ValueError(
                "All samples must have the same structure and numbers of axes. One has the shapes "
                f"{[tuple(leaf.shape) for leaf in leaves]}."
            )
        self._smallest = [np.minimum(a, b) for a, b in zip(self._smallest, shapes, strict=True)]
        self._largest = [np.maximum(a, b) for a, b in zip(self._largest, shapes, strict=True)]
        return max((int(s.max()) for s in shapes if s.size), default=1)

    def varying(self, k: int) -> np.ndarray:
        """Return for each axis of the k-th leaf if it varies, booleans."""
        return self._smallest[k] != self._largest[k]

    def all_varying(self) -> list[np.ndarray]:
        """Return `varying` of every leaf."""
        return [self.varying(k) for k in range(len(self._smallest))]

    def lengths(self, shapes: np.ndarray) -> np.ndarray:
        """Return the length of each sample: the size of its largest axis that varies.

        Args:
            shapes: (samples, axes of all leaves) int.
        """
        varies = np.concatenate(self.all_varying() or [[]])
        varies = varies.astype(bool)
        if not varies.any():
            return np.ones(len(shapes), "int64")
        return shapes[:, varies].max(axis=1)

    def __call__(
        self, samples: Sequence[Any], extra: int = 0, sizes: np.ndarray | None = None
    ) -> Any:
        """Collate samples to a batch of arrays with a leading axis B.

        Args:
            samples: results of `to_arrays`.
            extra: additional padding of the varying axes, see `dynamic_shapes`.
            sizes: (axes of all leaves,) int, sizes to pad to before they are rounded up; None:
                the largest ones of these samples.

        Raises:
            ValueError: a sample is larger than `sizes`.
        """
        columns = list(zip(*(flatten_sample(sample) for sample in samples), strict=True))
        values = self.values(samples[0])
        found = [np.max([leaf.shape for leaf in column], axis=0) for column in columns]
        if sizes is not None:
            given = np.split(sizes, np.cumsum([len(leaf) for leaf in found])[:-1])
            if any((own > most).any() for own, most in zip(found, given, strict=True)):
                raise ValueError(
                    "encode() returned a longer sample than when the data was first read. With "
                    "`shard`, the length of a sample must be the same each time: other processes "
                    "pad to it."
                )
            found = given
        joined = [
            self._join(column, self.varying(k), value, extra, found[k])
            for k, (column, value) in enumerate(zip(columns, values, strict=True))
        ]
        return unflatten_sample(samples[0], iter(joined))

    def _join(
        self,
        arrays: Sequence[np.ndarray],
        varies: np.ndarray,
        value: int,
        extra: int,
        sizes: np.ndarray,
    ) -> np.ndarray:
        if not varies.any():
            return np.stack(arrays)
        depth = int(np.flatnonzero(varies)[-1]) + 1  # `sequence_padding` pads leading axes
        length = [
            round_up(int(n), self.buckets) + extra if v else int(n)
            for n, v in zip(sizes[:depth], varies[:depth], strict=True)
        ]
        return sequence_padding(arrays, length, value, depth, dtype=arrays[0].dtype)


def flatten_sample(sample: Any) -> list[np.ndarray]:
    """Return the leaves of a sample; those of a dict in the order of insertion."""
    if isinstance(sample, dict):
        return [leaf for value in sample.values() for leaf in flatten_sample(value)]
    if isinstance(sample, tuple):
        return [leaf for value in sample for leaf in flatten_sample(value)]
    return [sample]


def axes_of(sample: Any) -> list[int]:
    """Return the sizes of all axes of the leaves of a sample."""
    return [size for leaf in flatten_sample(sample) for size in leaf.shape]


def unflatten_sample(sample: Any, leaves: Any) -> Any:
    """Put the next items of the iterator `leaves` into the structure of `sample`."""
    if isinstance(sample, dict):
        return {key: unflatten_sample(value, leaves) for key, value in sample.items()}
    if isinstance(sample, tuple):
        return tuple(unflatten_sample(value, leaves) for value in sample)
    return next(leaves)


def is_sample(sample: Any) -> bool:
    """Return whether a sample is (x, y) or (x, y, weight), not only inputs."""
    return isinstance(sample, tuple) and 2 <= len(sample) <= 3


def _known_pad_ids(sample: Any) -> list[int | None]:
    """Return the attribute `pad_token_id` of each leaf of an encoded sample, as of `TokenIds`."""
    if isinstance(sample, dict):
        return [pad for value in sample.values() for pad in _known_pad_ids(value)]
    if isinstance(sample, tuple) or (isinstance(sample, list) and not _is_row(sample)):
        return [pad for value in sample for pad in _known_pad_ids(value)]
    return [getattr(sample, "pad_token_id", None)]


def _input_values(inputs: Any, given: Any) -> list[int]:
    """Return the padding value of each leaf of the inputs.

    Args:
        inputs: inputs of a sample.
        given: one number for all; a list, tuple or dict of numbers, one for each; or a tokenizer or
            model: then the token ids (the first input with "Token" in its name, or else the first
            input) get its padding id, and all others 0.

    Raises:
        ValueError: not one number for each input, or none of these types.
    """
    count = len(flatten_sample(inputs))
    names = list(inputs) if isinstance(inputs, dict) else None
    if (pad := _pad_token_id_of(given)) is not None:
        named = [k for k, name in enumerate(names or ()) if "Token" in str(name)] or [0]
        return [pad if k == named[0] else 0 for k in range(count)]
    if isinstance(given, dict) and names is not None and set(given) <= set(names):
        given = [given.get(name, 0) for name in names]
    values = [given] * count if isinstance(given, (int, float)) else given
    ok = isinstance(values, (list, tuple)) and all(isinstance(v, (int, float)) for v in values)
    if not ok or len(values) != count:
        raise ValueError(
            f"pad_value={given!r:.80} does not say how to pad {count} inputs"
            f"{'' if names is None else f' {names}'}: give one number for all, one for each, such "
            "as (1, 0) for token ids and segment ids, or a tokenizer or a model."
        )
    return list(values)


def _pad_token_id_of(owner: Any) -> int | None:
    """Return the padding id of a tokenizer, a model or its config; None if it has none."""
    for source in (owner, getattr(owner, "config", None)):
        for name in ("token_pad_id", "pad_token_id"):
            value = getattr(source, name, None)
            if isinstance(value, int):
                return value
    return None


def _is_row(items: list) -> bool:
    """Return whether a list is data (numbers), not a structure; lists of rows are structures."""
    return all(isinstance(item, (bool, int, float, np.generic)) for item in items)

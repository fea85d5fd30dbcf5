"""Padding of ragged lists to arrays, and truncation of sequences to a total length."""

from __future__ import annotations

import bisect
from collections.abc import MutableSequence, Sequence

import numpy as np


def sequence_padding(
    inputs: Sequence,
    length: int | Sequence[int] | None = None,
    value: float = 0,
    seq_dims: int = 1,
    mode: str = "post",
    buckets: Sequence[int] | None = None,
    multiple_of: int | None = None,
    dtype: str | np.dtype | None = None,
) -> np.ndarray:
    """Pad (and truncate) a list of sequences to one array.

    Args:
        inputs: B sequences or arrays; the leading `seq_dims` axes may differ in size.
        length: size of these axes; by default the largest size that occurs, rounded up.
        value: padding value.
        seq_dims: number of leading axes that are padded.
        mode: "post" pads at the end, "pre" at the beginning; truncation is always at the end.
        buckets: increasing lengths; without `length`, round up to the next of them.
        multiple_of: without `length`, round up to a multiple of this.
        dtype: dtype of the result; by default int32 for integers, float32 for floats.

    Returns:
        Array of shape (B, length, ...).
    """
    if mode not in ("post", "pre"):
        raise ValueError(f"mode must be 'post' or 'pre', not {mode!r}.")
    if len(inputs) == 0:
        raise ValueError("sequence_padding got no sequences, so the shape is unknown.")
    if isinstance(length, (int, np.integer)):
        length = [length]
    if length is not None and len(length) != seq_dims:
        raise ValueError(f"length must have {seq_dims} sizes, one for each padded axis.")
    arrays = [np.asarray(x) for x in inputs]
    arrays = [a.astype("int32") if a.size == 0 and a.ndim == 1 else a for a in arrays]
    if any(a.ndim < seq_dims for a in arrays):
        raise ValueError(f"Every sequence must have at least {seq_dims} axes (seq_dims).")
    if length is None:
        sizes = np.max([a.shape[:seq_dims] for a in arrays], axis=0)
        length = [round_up(int(size), buckets, multiple_of) for size in sizes]
    inner = _common_shape([a.shape[seq_dims:] for a in arrays])
    dtype = dtype or _common_dtype(arrays, value)
    output = np.full((len(arrays), *length, *inner), value, dtype)
    if seq_dims == 1 and not inner and mode == "post":
        lengths = np.fromiter((len(a) for a in arrays), "int64", len(arrays))
        if lengths.max() <= length[0]:  # one masked copy is much faster than a loop
            output[np.arange(length[0]) < lengths[:, None]] = np.concatenate(arrays)
            return output
    for row, array in zip(output, arrays, strict=True):
        array = array[tuple(slice(size) for size in length)]
        sizes = array.shape[:seq_dims]
        if mode == "post":
            row[tuple(slice(size) for size in sizes)] = array
        else:
            row[tuple(slice(n - size, None) for n, size in zip(length, sizes, strict=True))] = array
    return output


def round_up(
    length: int, buckets: Sequence[int] | None = None, multiple_of: int | None = None
) -> int:
    """Round up to the next of the sorted `buckets` (unless beyond the last), then to a multiple."""
    if buckets is not None and length <= buckets[-1]:
        length = buckets[bisect.bisect_left(buckets, length)]
    if multiple_of:
        length = -(-length // multiple_of) * multiple_of
    return length


def truncate_sequences(
    maxlen: int, indices: int | Sequence[int], *sequences: MutableSequence | None
) -> list[MutableSequence]:
    """Remove items from the longest sequence until all together have at most `maxlen`.

    Removing one item at a time from the (first) longest sequence, with N_s the lengths, ends with

        kept_s = min(N_s, m) + (0 or 1),   sum of kept_s = maxlen

    where m is the largest level with sum of min(N_s, m) <= maxlen, and the items that are still
    missing to `maxlen` go to the last of the sequences longer than m. Removing k times the item at
    index i >= 0 removes items [i, i + k); at index i < 0, the k items that end at i, inclusive.

    Args:
        maxlen: largest total number of items.
        indices: index at which items are removed, for all sequences or one for each; -1 is the
            end, 0 the beginning, -2 keeps a final [SEP].
        sequences: lists, truncated in place; None is skipped.

    Returns:
        The lists, without None.

    Raises:
        IndexError: a sequence has too few items before or behind the index.
    """
    if isinstance(indices, (int, np.integer)):
        indices = [indices] * len(sequences)
    if maxlen < 0 or len(indices) != len(sequences):
        raise ValueError("maxlen must not be negative, and indices must have one per sequence.")
    pairs = [(s, i) for s, i in zip(sequences, indices, strict=True) if s is not None]
    lengths = _balanced_lengths([len(s) for s, _ in pairs], maxlen)
    for (sequence, index), kept in zip(pairs, lengths, strict=True):
        surplus = len(sequence) - kept
        if surplus == 0:
            continue
        start = index if index >= 0 else len(sequence) + index + 1 - surplus
        if start < 0 or start + surplus > len(sequence):
            raise IndexError(
                f"Cannot truncate a sequence of {len(sequence)} items to {kept} at index {index}."
            )
        del sequence[start : start + surplus]
    return [sequence for sequence, _ in pairs]


def _balanced_lengths(lengths: list[int], maxlen: int) -> list[int]:
    """Return the lengths after truncation; see `truncate_sequences`."""
    if sum(lengths) <= maxlen:
        return lengths
    low, high = 0, max(lengths)
    while high - low > 1:  # binary search of the level m
        middle = (low + high) // 2
        if sum(min(n, middle) for n in lengths) <= maxlen:
            low = middle
        else:
            high = middle
    kept = [min(n, low) for n in lengths]
    spare = maxlen - sum(kept)
    longer = [i for i, n in enumerate(lengths) if n > low]
    for i in (
        longer[len(longer) - spare :] if spare else []
    ):  # the first of equals is shortened first
        kept[i] += 1
    return kept


def _common_shape(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    distinct = set(shapes)
    if len(distinct) > 1:
        raise ValueError(
            f"Axes that are not padded differ in size: {sorted(distinct)}. Raise seq_dims."
        )
    return distinct.pop()


def _common_dtype(arrays: list[np.ndarray], value: float) -> np.dtype:
    dtype = np.result_type(*{a.dtype for a in arrays})
    if dtype.kind in "iu":
        return np.dtype("float32" if isinstance(value, float) and value % 1 else "int32")
    return np.dtype("float32") if dtype.kind == "f" else dtype


def to_array(*args) -> np.ndarray | list[np.ndarray]:
    """Convert arguments to arrays: one array for one argument, else a list of arrays."""
    arrays = [np.asarray(a) for a in args]
    return arrays[0] if len(arrays) == 1 else arrays

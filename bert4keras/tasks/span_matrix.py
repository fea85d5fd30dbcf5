"""Conversion between spans and score matrices over pairs of tokens (GlobalPointer).

A pair is (head, row, column): row is the first token of a span, column its last one, included. A
span of tokens or characters is (start, end, label), end excluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .finite import as_scores
from .labelled_span import LabelledSpan

Offsets = Sequence[tuple[int, int]]


def decode_spans(
    scores: np.ndarray,
    offsets: Sequence[Offsets] | None = None,
    labels: Sequence[str] | None = None,
    threshold: float = 0.0,
    nested: bool = True,
) -> list[list[LabelledSpan]]:
    """Return the spans that score above a threshold.

    Args:
        scores: (B, H, T, T), first tokens in rows, last tokens in columns.
        offsets: for each text (start, end) of its tokens in characters; (0, 0) for special tokens,
            at which no span begins or ends. None: spans are of tokens.
        labels: H names; None: the index of the head.
        threshold: lower bound of the score; ZLPR trains for 0.
        nested: False leaves out spans that overlap one of a higher score.

    Returns:
        For each text its spans (start, end, label), sorted.

    Raises:
        ValueError: scores have another shape, or texts, labels or tokens do not fit them.
    """
    scores = checked(scores, offsets, labels)
    results = []
    for row, matrix in enumerate(scores):
        found = []
        for head, first, last in np.argwhere(matrix > threshold).tolist():
            place = span(first, last, None if offsets is None else offsets[row])
            if place is not None:
                label: Any = head if labels is None else labels[head]
                found.append((float(matrix[head, first, last]), LabelledSpan(*place, label)))
        results.append(sorted((s for _, s in found) if nested else apart(found)))
    return results


def checked(
    scores: Any, offsets: Sequence[Offsets] | None, labels: Sequence[str] | None
) -> np.ndarray:
    """Return scores (B, H, T, T) as an array; raise if offsets or labels do not fit them."""
    scores = np.asarray(scores)
    if scores.ndim != 4 or scores.shape[2] != scores.shape[3]:
        raise ValueError(f"scores must be (B, H, T, T), not {scores.shape}.")
    if labels is not None and len(labels) != scores.shape[1]:
        raise ValueError(f"{len(labels)} labels for {scores.shape[1]} heads.")
    check_offsets(offsets, len(scores), scores.shape[2])
    for row, matrix in enumerate(scores):  # one by one, which needs less memory
        as_scores(matrix, "scores", row)
    return scores


def check_offsets(offsets: Sequence[Offsets] | None, texts: int, length: int) -> None:
    """Raise if offsets cannot belong to the texts that were scored."""
    if offsets is None:
        return
    if len(offsets) != texts:
        raise ValueError(f"offsets of {len(offsets)} texts, but scores of {texts}.")
    longest = max(map(len, offsets), default=0)
    if longest > length:
        raise ValueError(
            f"a text has offsets of {longest} tokens, but scores of {length}. Encode both with the "
            "same maxlen."
        )


def span(first: int, last: int, offsets: Offsets | None) -> tuple[int, int] | None:
    """Return start and end of tokens `first` to `last`, in characters if there are offsets.

    None if the last token is before the first, or if either is special or padding.
    """
    if first > last:
        return None
    if offsets is None:
        return first, last + 1
    if last >= len(offsets):
        return None
    (start, a), (b, end) = offsets[first], offsets[last]
    return (start, end) if start < a and b < end else None


def apart(found: Iterable[tuple[float, LabelledSpan]]) -> list[LabelledSpan]:
    """Return the spans that no span of a higher score overlaps, from pairs (score, span)."""
    kept: list[LabelledSpan] = []
    for _, new in sorted(found, key=lambda item: (-item[0], item[1])):
        if all(new.end <= old.start or old.end <= new.start for old in kept):
            kept.append(new)
    return kept


def span_pairs(
    spans: Iterable[tuple[int, int, str]], labels: Sequence[str]
) -> list[tuple[int, int, int]]:
    """Convert token spans, such as those of `align_entities`, to pairs.

    Raises:
        ValueError: a label is not among `labels`.
    """
    number = {label: head for head, label in enumerate(labels)}
    spans = list(spans)
    if unknown := sorted({str(label) for *_, label in spans if label not in number}):
        raise ValueError(f"spans of unknown labels: {', '.join(unknown)}.")
    return [(number[label], start, end - 1) for start, end, label in spans]


def dense_pairs(pairs: Iterable[tuple[int, int, int]], heads: int, length: int) -> np.ndarray:
    """Return labels (H, T, T) for `GlobalPointer.loss`: int32, 1 at the pairs."""
    labels = np.zeros((heads, length, length), "int32")
    for head, row, column in pairs:
        labels[head, row, column] = 1
    return labels


def sparse_pairs(
    pairs: Iterable[tuple[int, int, int]], heads: int, size: int | None = None
) -> np.ndarray:
    """Return labels (H, n, 2) for `GlobalPointer.sparse_loss`: int32, row and column of pairs.

    Args:
        size: n; None: the largest number of pairs of a head, at least 1.

    Returns:
        Rows and columns, padded with -1.

    Raises:
        ValueError: a head has more than `size` pairs, or a pair names no head.
    """
    lists: list[list[tuple[int, int]]] = [[] for _ in range(heads)]
    for head, row, column in sorted(set(pairs)):
        if not 0 <= head < heads:
            raise ValueError(f"pair ({head}, {row}, {column}): there are {heads} heads.")
        lists[head].append((row, column))
    needed = max(1, *map(len, lists))
    if size is not None and needed > size:
        raise ValueError(f"a head has {needed} pairs, more than size={size}.")
    labels = np.full((heads, size or needed, 2), -1, "int32")
    for padded, items in zip(labels, lists, strict=True):
        padded[: len(items)] = np.reshape(items, (-1, 2))
    return labels

"""Viterbi algorithm in numpy: the best, or the k best, label sequences.

With scores f_t[k] of labels, transition scores g_t[j, k],

    m_1[k] = f_1[k],    m_t[k] = f_t[k] + max_j (m_t-1[j] + g_t[j, k])

m_t[k] is the score of the best labels of positions 1 .. t that end in k. It is the forward
algorithm with max in place of logsumexp. Backtrace: the last label is argmax_k (m_n[k] + last[k]),
and the label before y_t is argmax_j (m_t-1[j] + g_t[j, y_t]).

For the K best sequences, m_t[k] holds the K best scores that end in k, and pointers tell which
label and which of its K sequences each one extends: at most K of the best come from one label, so
the K best of C * K sums are exact.

Symbols: B batch, T positions, C labels, K number of sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from ..finite import as_scores, not_finite

_ROWS = 256  # rows per step, which bounds the memory
Path = tuple[np.ndarray, float]


def viterbi(
    scores: np.ndarray,
    transitions: np.ndarray,
    mask: np.ndarray | None = None,
    start: np.ndarray | None = None,
    end: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Find the label sequence with the highest score for each row.

    The score of labels y is `start[y_1] + sum_t scores[t, y_t] + sum_t transitions[y_t-1, y_t] +
    end[y_n]`, where t runs only over the positions with a label: the positions on both sides of a
    masked one are neighbours. Of sequences with equal scores any may be returned.

    Args:
        scores: (B, T, C).
        transitions: (C, C), from the row's label to the column's; -inf forbids.
        mask: boolean (B, T), True where a position has a label; None for all.
        start: (C,) scores of the first label; None for 0.
        end: (C,) scores of the last label; None for 0.

    Returns:
        For each row an int array, one label per position where the mask is True.

    Raises:
        ValueError: shapes that do not fit, or NaN in the scores.

    Source: Viterbi 1967; Forney, The Viterbi Algorithm, Proceedings of the IEEE 61, 1973.
    """
    return [row[0][0] for row in viterbi_k_best(scores, transitions, 1, mask, start, end)]


def viterbi_k_best(
    scores: np.ndarray,
    transitions: np.ndarray,
    k: int,
    mask: np.ndarray | None = None,
    start: np.ndarray | None = None,
    end: np.ndarray | None = None,
) -> list[list[Path]]:
    """Find the K label sequences with the highest scores for each row; see `viterbi`.

    Returns:
        For each row at most K pairs (labels, score), best first; fewer if fewer sequences exist. A
        row without labels has one sequence, the empty one, with score 0.

    Raises:
        ValueError: `k` below 1, shapes that do not fit, or NaN in the scores.

    Source: the k-best list Viterbi algorithm, Seshadri and Sundberg, IEEE Trans. Comm. 42, 1994.
    """
    if k < 1:
        raise ValueError(f"k={k} must be at least 1.")
    found = []
    for packed, lengths in packed_rows(scores, mask):
        labels = packed.shape[-1]
        pairs = _fit("transitions", transitions, (labels, labels))
        first = packed[:, :1].sum(axis=1) + _fit("start", start, (labels,))
        last = np.broadcast_to(_fit("end", end, (labels,)), first.shape)
        step, into = partial(_step, rows_last(packed), pairs), partial(_into, pairs)
        found += best_paths(first, step, last, lengths, k, into)
    return found


def best_paths(
    first: np.ndarray,
    step: Callable[[int], np.ndarray],
    last: np.ndarray,
    lengths: np.ndarray,
    k: int = 1,
    into: Callable[[int, np.ndarray], np.ndarray] | None = None,
) -> list[list[Path]]:
    """Find the K best sequences when transition scores differ between positions.

    Args:
        first: (B, C) scores of the first label.
        step: function: t = 1, 2, ... -> scores (C, C, B) of the label at t - 1 and the label at t,
            including the score of the label at t itself.
        last: (B, C) scores of the last label, added to the others.
        lengths: (B,) number of positions of each row.
        k: K.
        into: function: t and the label at t of each row (B,) -> scores (C, B) of the label at
            t - 1, up to a constant per row. None derives them from `step`, which is slower.

    Returns:
        As `viterbi_k_best`.
    """
    batch, labels = first.shape
    length = int(lengths.max(initial=0))
    if k == 1:
        into = into or (lambda t, label: step(t)[:, label, np.arange(batch)])
        return [[row] for row in _best_path(first, step, last, lengths, into)]
    # State `label * k + rank` is the sequence of that rank among those that end in the label.
    totals = np.full((batch, labels, k), -np.inf)
    totals[..., 0] = first
    pointers = []
    for t in range(1, length):
        sums = totals[:, None] + step(t).T[..., None]
        sums, pointer = _top_k(sums.reshape(batch, labels, -1), k)
        pointers.append(pointer.reshape(batch, -1).astype(np.int32))
        totals = np.where((t < lengths)[:, None, None], sums, totals)
    scores, states = _top_k((totals + last[..., None]).reshape(batch, -1), k)
    paths = np.empty((batch, k, length), np.int32)
    for t in reversed(range(length)):
        paths[..., t] = states // k
        if t:
            before = np.take_along_axis(pointers[t - 1], states, axis=1)
            states = np.where((t < lengths)[:, None], before, states)
    return [
        [
            (path[:n], float(score))
            for rank, (path, score) in enumerate(zip(paths[row], scores[row], strict=True))
            # Score -inf means there is no such sequence; the best one is always returned.
            if score > -np.inf or rank == 0
        ]
        if n
        else [(paths[row, 0, :0], 0.0)]
        for row, n in enumerate(lengths)
    ]


def _best_path(
    first: np.ndarray,
    step: Callable[[int], np.ndarray],
    last: np.ndarray,
    lengths: np.ndarray,
    into: Callable[[int, np.ndarray], np.ndarray],
) -> list[Path]:
    """Compute `best_paths` for k = 1 without back pointers.

    The forward pass keeps only maxima; the argmax is recomputed along the best path. numpy finds a
    maximum along the first axis many times faster than an argmax.
    """
    totals, shortest = [np.ascontiguousarray(first.T)], lengths.min(initial=np.iinfo(int).max)
    for t in range(1, int(lengths.max(initial=0))):
        sums = (totals[-1][:, None] + step(t)).max(axis=0)
        totals.append(sums if t < shortest else np.where(t < lengths, sums, totals[-1]))
    final = totals[-1] + last.T
    label = final.argmax(axis=0)
    scores = np.where(lengths > 0, final[label, np.arange(len(first))], 0.0)
    paths = np.empty((len(first), len(totals)), np.int32)
    for t in reversed(range(len(totals))):
        paths[:, t] = label
        if t:
            before = (totals[t - 1] + into(t, label)).argmax(axis=0)
            label = before if t < shortest else np.where(t < lengths, before, label)
    return [(path[:n], float(s)) for path, n, s in zip(paths, lengths, scores, strict=True)]


def packed_rows(
    scores: np.ndarray, mask: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (scores, lengths) of some rows at a time, labelled positions moved to the front.

    Args:
        scores: (B, T, C).
        mask: boolean (B, T), True where a position has a label; None for all.

    Raises:
        ValueError: shapes that do not fit, or NaN at a position with a label.
    """
    scores = np.asarray(scores)
    if scores.ndim != 3 or not scores.shape[-1]:
        raise ValueError(f"scores must have shape (B, T, C), not {scores.shape}.")
    mask = np.ones(scores.shape[:2], bool) if mask is None else np.asarray(mask).astype(bool)
    if mask.shape != scores.shape[:2]:
        raise ValueError(f"mask {mask.shape} does not fit scores {scores.shape}; use (B, T).")
    for at in range(0, len(scores), _ROWS):
        part, valid = scores[at : at + _ROWS], mask[at : at + _ROWS]
        lengths = valid.sum(axis=1)
        order = np.argsort(~valid, axis=1, kind="stable")[:, : lengths.max(initial=0)]
        packed = np.take_along_axis(part, order[..., None], axis=1).astype(np.float64)
        inside = np.arange(packed.shape[1]) < lengths[:, None]
        if not (packed[inside] < np.inf).all():
            row = int((inside & ~(packed < np.inf).all(axis=-1)).any(axis=1).argmax())
            kept = np.where(valid[row][:, None], part[row].astype(np.float64), 0.0)
            raise not_finite(kept, "scores", at + row)
        yield np.where(inside[..., None], packed, 0.0), lengths


def rows_last(packed: np.ndarray) -> np.ndarray:
    """Transpose (B, T, C) to (T, C, B), because numpy is fast along a long last axis."""
    return np.ascontiguousarray(packed.transpose(1, 2, 0))


def _step(steps: np.ndarray, pairs: np.ndarray, t: int) -> np.ndarray:
    return pairs[..., None] + steps[t]


def _into(pairs: np.ndarray, t: int, label: np.ndarray) -> np.ndarray:
    return pairs[:, label]


def _top_k(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k largest values of the last axis in falling order, and their indices."""
    if k == 1:
        index = values.argmax(axis=-1)[..., None]
    else:
        index = np.argsort(-values, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(values, index, axis=-1), index


def _fit(name: str, values: np.ndarray | Sequence | None, shape: tuple[int, ...]) -> np.ndarray:
    """Return `values` as an array of this shape; zeros for None."""
    array = np.zeros(shape) if values is None else as_scores(values, name)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, but {shape[0]} labels need {shape}.")
    return array

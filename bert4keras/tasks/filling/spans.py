"""Masks that are filled with a span of a given passage."""

from __future__ import annotations

import numpy as np


def most_probable_span(
    log_probabilities: np.ndarray, passage: np.ndarray, end: int
) -> tuple[int, int]:
    """Find the span of a passage whose tokens, and the end after them, are the most probable.

    Args:
        log_probabilities: (L, V) of the tokens in L neighbouring masks, each by itself.
        passage: token ids, (T,).
        end: id after a span of fewer than L tokens.

    Returns:
        (start, stop) in the passage; stop == start for the empty span. Of spans of the same tokens
        the first.
    """
    longest, length = len(log_probabilities), len(passage)
    closing = np.append(log_probabilities[:, end], 0.0)  # none is needed after the last mask
    best, found = closing[0], (0, 0)
    totals = np.zeros(length)  # of the spans of k tokens that begin at each position
    for k in range(min(longest, length)):
        totals = totals[: length - k] + log_probabilities[k, passage[k:]]
        start = int(totals.argmax())
        if totals[start] + closing[k + 1] > best:
            best, found = totals[start] + closing[k + 1], (start, start + k + 1)
    return found

"""Packing of a text and its candidate continuations, for `application="shared_prefix"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PackedCandidates(NamedTuple):
    """Result of `pack_candidates`; the first three arrays have shape (T,), the last (K,).

    `candidate_ids` is 0 on the prefix and 1, 2, ... on the candidates: a model built with
    `application="shared_prefix"` lets each candidate see the prefix and itself, and its position
    ids go on from the prefix. Candidate k begins at `token_ids[starts[k]]`.
    """

    token_ids: np.ndarray
    segment_ids: np.ndarray
    candidate_ids: np.ndarray
    starts: np.ndarray


def pack_candidates(prefix: Sequence[int], candidates: Sequence[Sequence[int]]) -> PackedCandidates:
    """Put a text and its candidate continuations into one row.

    Args:
        prefix: token ids of the text, segment 0.
        candidates: token ids of each continuation, segment 1.

    Raises:
        ValueError: the prefix or a candidate has no tokens.
    """
    parts = [prefix, *candidates]
    for number, part in enumerate(parts):
        if not len(part):
            which = f"candidate {number - 1}" if number else "the prefix"
            raise ValueError(f"{which} has no tokens; give it at least a start token.")
    lengths = np.array([len(part) for part in parts], "int32")
    starts = np.cumsum(lengths) - lengths
    candidate_ids = np.repeat(np.arange(len(parts), dtype="int32"), lengths)
    return PackedCandidates(
        np.concatenate([np.asarray(part, "int32") for part in parts]),
        (candidate_ids > 0).astype("int32"),
        candidate_ids,
        starts[1:].astype("int32"),
    )

"""One text and several that continue it, in one row: the inputs of `application="branches"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Branched(NamedTuple):
    """A row of `branch`; the first three have shape (T,), the last (K,).

    `branch_ids` is 0 on the trunk and 1, 2, ... on the branches: a model built with
    `application="branches"` lets each of them see the trunk and itself, and its positions go on
    from the trunk. Branch k begins at `token_ids[starts[k]]`.
    """

    token_ids: np.ndarray
    segment_ids: np.ndarray
    branch_ids: np.ndarray
    starts: np.ndarray


def branch(trunk: Sequence[int], branches: Sequence[Sequence[int]]) -> Branched:
    """Put a text and its continuations into one row.

    Args:
        trunk: token ids of the text, segment 0.
        branches: token ids of each continuation, segment 1.

    Raises:
        ValueError: an empty trunk or branch, which nothing could stand for.
    """
    parts = [trunk, *branches]
    for place, part in enumerate(parts):
        if not len(part):
            which = f"branch {place - 1}" if place else "the trunk"
            raise ValueError(f"{which} has no tokens; give it a start token at least.")
    lengths = np.array([len(part) for part in parts], "int32")
    starts = np.cumsum(lengths) - lengths
    branch_ids = np.repeat(np.arange(len(parts), dtype="int32"), lengths)
    return Branched(
        np.concatenate([np.asarray(part, "int32") for part in parts]),
        (branch_ids > 0).astype("int32"),
        branch_ids,
        starts[1:].astype("int32"),
    )

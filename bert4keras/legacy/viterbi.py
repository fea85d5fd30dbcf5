"""Viterbi decoding of one text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..tasks.tagging import viterbi


class ViterbiDecoder:
    """Viterbi algorithm for one text at a time; `tasks.tagging.viterbi` takes a batch.

    Args:
        trans: transition scores (C, C), from the row's label to the column's. The attribute may be
            replaced, since they change in training.
        starts: labels that may be the first; None: all.
        ends: labels that may be the last; None: all.
    """

    def __init__(
        self,
        trans: np.ndarray,
        starts: Sequence[int] | None = None,
        ends: Sequence[int] | None = None,
    ):
        self.trans = trans
        self.num_labels = len(trans)
        self.non_starts = self._others(starts)
        self.non_ends = self._others(ends)

    def _others(self, labels: Sequence[int] | None) -> list[int]:
        return [i for i in range(self.num_labels) if labels is not None and i not in labels]

    def decode(self, nodes: np.ndarray) -> np.ndarray:
        """Find the best labels.

        Args:
            nodes: scores (T, C) of one text, without padding.

        Returns:
            int (T,).
        """
        start, end = np.zeros((2, self.num_labels))
        start[self.non_starts] = end[self.non_ends] = -np.inf
        return viterbi(np.asarray(nodes)[None], np.asarray(self.trans), start=start, end=end)[0]

"""Decoding of scores with transitions, in numpy: what the layers have and exported taggers keep."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np

from ..._numpy import log_softmax
from ..._types import Tensor
from .tag_chain import TagChain, factors, global_chain
from .viterbi import Path, best_paths, packed_rows, rows_last, viterbi, viterbi_k_best


class ChainDecoding:
    """Decoding by the sum of emissions and transitions, as of a CRF."""

    def transition_matrix(self) -> Any:
        """Return transition scores (C + 1, C + 1), from the row's label to the column's.

        The last row is the start, the last column the end.
        """
        raise NotImplementedError

    def decode(self, scores: Tensor, mask: Tensor | None = None) -> list[np.ndarray]:
        """Find the best labels of each row, in numpy.

        Args:
            scores: (B, T, C), the model's output.
            mask: boolean (B, T), True where a position has a label; None for all.

        Returns:
            For each row an int array, one label per position where the mask is True.
        """
        return viterbi(to_numpy(scores), mask=to_numpy(mask), **_viterbi_scores(self))

    def k_best(self, scores: Tensor, k: int, mask: Tensor | None = None) -> list[list[Path]]:
        """Find the k best label sequences of each row, as pairs (labels, score); see `decode`."""
        scores, mask = to_numpy(scores), to_numpy(mask)
        return viterbi_k_best(scores, k=k, mask=mask, **_viterbi_scores(self))

    def best_labels(self, scores: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Find the best labels of one text.

        Args:
            scores: (U, C), of its labelled positions.
            matrix: `transition_matrix`, as an array, so that many texts share one copy.

        Returns:
            int (U,).
        """
        ends = {"start": matrix[-1, :-1], "end": matrix[:-1, -1]}
        return viterbi(scores[None], matrix[:-1, :-1], **ends)[0]

    def tag_chain(self, scores: np.ndarray, matrix: np.ndarray) -> TagChain:
        """Return the distribution that the head defines over the labels of one text.

        Args:
            scores: (U, C), U at least 1.
            matrix: `transition_matrix`, as an array.
        """
        return global_chain(scores, matrix)


class LocalChainDecoding(ChainDecoding):
    """Decoding by conditional probabilities, as of an MEMM.

    Attributes:
        bidirectional: the probabilities of both directions are multiplied.
    """

    bidirectional: bool

    def decode(
        self, scores: Tensor, mask: Tensor | None = None, method: str = "score"
    ) -> list[np.ndarray]:
        """Find the best labels of each row, in numpy.

        Args:
            scores: (B, T, C), the model's output.
            mask: boolean (B, T), True where a position has a label; None for all.
            method: "score": the labels with the highest sum of f and g, like a conditional random
                field and like the article. "local": the labels with the highest P; in the
                bidirectional model, the highest product of P in both directions.

        Returns:
            For each row an int array, one label per position where the mask is True.

        Raises:
            ValueError: another method.
        """
        if method == "score":
            return super().decode(scores, mask)
        if method != "local":
            raise ValueError(f'method={method!r} must be "score" or "local".')
        matrix = _matrix_of(self)
        found = []
        for packed, lengths in packed_rows(to_numpy(scores), to_numpy(mask)):
            if not packed.shape[1]:
                packed = np.zeros((len(packed), 1, len(matrix) - 1))
            ends = packed[np.arange(len(packed)), np.maximum(lengths - 1, 0)]
            last = np.broadcast_to(matrix[:-1, -1], ends.shape)
            if self.bidirectional:
                last = log_softmax(ends + last, axis=1)
            first = log_softmax(packed[:, 0] + matrix[-1, :-1], axis=1)
            step = partial(_local_step, rows_last(packed), matrix[:-1, :-1], self.bidirectional)
            found += best_paths(first, step, last, lengths)
        return [row[0][0] for row in found]

    def best_labels(self, scores: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        # The most probable labels; those of the highest score may be improbable under an MEMM.
        return self.decode(scores[None], method="local")[0]

    def tag_chain(self, scores: np.ndarray, matrix: np.ndarray) -> TagChain:
        """Return the chain of the text; if bidirectional, the geometric mean of both directions."""
        scores = np.asarray(scores, "float64")
        pairs, last = matrix[:-1, :-1], matrix[:-1, -1]
        if self.bidirectional:
            last = log_softmax(scores[-1] + last, 0) / 2
        first = log_softmax(scores[0] + matrix[-1, :-1], 0) / (1 + self.bidirectional)

        def step(t: int) -> np.ndarray:
            forward = log_softmax(scores[t] + pairs, 1)
            if self.bidirectional:
                forward = (forward + log_softmax(scores[t - 1][:, None] + pairs, 0)) / 2
            return factors(forward)

        return TagChain(factors(first), step, factors(last), len(scores))


class _StoredHead:
    """A head without its layer.

    Args:
        name: name of the head, see the option `head` of `Tagger.build`.
        matrix: transition scores (C + 1, C + 1); None for a pointer, which has none.
    """

    def __init__(self, name: str, matrix: np.ndarray | None):
        self.head_name, self.matrix, self.bidirectional = name, matrix, name == "bi-memm"

    def transition_matrix(self) -> Any:
        """Return the matrix."""
        return self.matrix


class _StoredChain(_StoredHead, ChainDecoding):
    """A CRF without its layer."""


class _StoredLocalChain(_StoredHead, LocalChainDecoding):
    """An MEMM without its layer."""


def stored_head(name: str, matrix: np.ndarray | None) -> _StoredHead | None:
    """Return a head by its name and its transitions; None for a softmax."""
    kinds = {"crf": _StoredChain, "memm": _StoredLocalChain, "bi-memm": _StoredLocalChain}
    return None if name == "softmax" else kinds.get(name, _StoredHead)(name, matrix)


def to_numpy(x: Any) -> Any:
    """Return a tensor as a numpy array; None stays None."""
    return x if x is None or isinstance(x, np.ndarray) else keras.ops.convert_to_numpy(x)


def _matrix_of(head: ChainDecoding) -> np.ndarray:
    return to_numpy(head.transition_matrix()).astype("float64")


def _viterbi_scores(head: ChainDecoding) -> dict[str, np.ndarray]:
    """Return the scores of transitions, start and end, as arguments of `viterbi`."""
    matrix = _matrix_of(head)
    return {"transitions": matrix[:-1, :-1], "start": matrix[-1, :-1], "end": matrix[:-1, -1]}


def _local_step(steps: np.ndarray, pairs: np.ndarray, both: bool, t: int) -> np.ndarray:
    """Return log P(y_t | y_t-1), plus log P'(y_t-1 | y_t) if `both`: (C, C, B)."""
    pairs = pairs[..., None]
    forward = log_softmax(steps[t] + pairs, axis=1)
    return forward + log_softmax(steps[t - 1][:, None] + pairs, axis=0) if both else forward

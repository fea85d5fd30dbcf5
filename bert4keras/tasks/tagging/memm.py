"""Maximum entropy Markov model: each label is chosen in view of the label before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from keras import ops

from ..._numpy import log_softmax
from ..._serialization import serializable
from .sequence_labelling import (
    SequenceLabelling,
    gather_positions,
    one_hot,
    pack_labels,
    packed_order,
    to_numpy,
)
from .viterbi import best_paths, packed_rows, rows_last


@serializable
class MaximumEntropyMarkovModel(SequenceLabelling):
    """A locally normalised tagger behind a `Dense` of one score per label: (B, T, C) to the same.

    With emissions f (T, C), transitions g (C, C), and the labels y of the n valid positions,

        P(y) = prod_t P(y_t | y_t-1),     P(k | y_t-1) = softmax_k(f_t[k] + g[y_t-1, k])

    and P(y_1) = softmax f_1. In training the label before is the gold one, so the loss
    -log P(y) takes all positions at once, where a conditional random field reads them one after
    the other. The bidirectional model also reads from right to left, with the transpose of g:
    P'(k | y_t+1) = softmax_k(f_t[k] + g[k, y_t+1]), and its loss is the mean of both directions.

    The layer returns the emissions as they are, in float32, and owns g. Labels, the masked
    positions and saved files are as those of `ConditionalRandomField`.

    Args:
        lr_multiplier: the transitions learn this many times as fast as the optimizer's learning
            rate says (under Adam and its kin). Weight files hold the true transitions.
        hidden_dim: rank of g, a product of matrices (C, hidden_dim) and (hidden_dim, C), for many
            labels; None for a full matrix.
        bidirectional: read in both directions.
        allowed: which labels may begin, follow each other and end, as of `ConditionalRandomField`;
            the others are left out of the softmax, and are not decoded.

    Source: McCallum, Freitag and Pereira, Maximum Entropy Markov Models, ICML 2000; both
    directions and the low rank: https://kexue.fm/archives/7213.
    """

    def __init__(
        self,
        lr_multiplier: float = 1.0,
        hidden_dim: int | None = None,
        bidirectional: bool = False,
        allowed: Sequence[Any] | np.ndarray | None = None,
        **kwargs: Any,
    ):
        super().__init__(lr_multiplier, allowed, **kwargs)
        if hidden_dim is not None and hidden_dim < 1:
            raise ValueError(f"hidden_dim={hidden_dim} must be at least 1, or None.")
        self.hidden_dim, self.bidirectional = hidden_dim, bidirectional

    def build(self, input_shape):
        super().build(input_shape)
        if self.hidden_dim is None:
            self._transitions = self.add_scores("transitions", self.labels, self.labels)
            return
        # A product of two zeros would have no gradient.
        shape, some = (self.labels, self.hidden_dim), "glorot_uniform"
        self._left = self.add_scores("left", *shape, initializer=some)
        self._right = self.add_scores("right", *shape, initializer=some)

    @property
    def transitions(self) -> Any:
        """Scores (C, C) of a label, the row's, and the next one, the column's."""
        if self.hidden_dim is None:
            return self.scaled(self._transitions)
        return ops.matmul(self.scaled(self._left), ops.transpose(self.scaled(self._right)))

    def row_losses(self, labels: Any, mask: Any, scores: Any) -> Any:
        """-log P of the labels; in both directions, the mean of the two."""
        matrix, count = self.transition_matrix(), scores.shape[-1]
        packed = pack_labels(labels, *packed_order(mask), count)
        edge = ops.full_like(packed[:, :1], count)
        packed = ops.concatenate([edge, packed, edge], axis=1)  # label number n is packed[n]
        place = ops.cumsum(ops.cast(mask, "int32"), axis=1)  # how many labels up to here
        gold = one_hot(labels, count)

        def cross_entropy(neighbours, rows):
            # A product, since the gradient of `ops.take` is slow.
            logits = (
                scores + one_hot(gather_positions(packed, neighbours), count + 1) @ rows[:, :count]
            )
            norms = ops.sum(ops.where(mask, ops.logsumexp(logits, axis=-1), 0.0), axis=1)
            return norms - ops.sum(gold * logits, axis=(1, 2))

        value = cross_entropy(ops.maximum(place - 1, 0), matrix)
        if self.bidirectional:
            value = (value + cross_entropy(place + 1, ops.transpose(matrix))) / 2
        return value

    def decode(
        self, scores: Any, mask: Any | None = None, method: str = "score"
    ) -> list[np.ndarray]:
        """The best labels of each row, in numpy.

        Args:
            scores: (B, T, C), as the model predicts them.
            mask: boolean (B, T), the positions that have a label; None for all.
            method: "score", the labels of the highest sum of f and g, as a conditional random
                field decodes and the article does; or "local", those of the highest P, in the
                bidirectional model of the highest product of P in both directions.

        Returns:
            For each row an int array, as long as the row has valid positions.

        Raises:
            ValueError: another method.
        """
        if method == "score":
            return super().decode(scores, mask)
        if method != "local":
            raise ValueError(f'method={method!r} must be "score" or "local".')
        matrix = to_numpy(self.transition_matrix()).astype("float64")
        found = []
        for packed, lengths in packed_rows(to_numpy(scores), to_numpy(mask)):
            if not packed.shape[1]:
                packed = np.zeros((len(packed), 1, self.labels))
            ends = packed[np.arange(len(packed)), np.maximum(lengths - 1, 0)]
            last = np.broadcast_to(matrix[:-1, -1], ends.shape)
            if self.bidirectional:
                last = log_softmax(ends + last, axis=1)
            first = log_softmax(packed[:, 0] + matrix[-1, :-1], axis=1)
            step = partial(_local_step, rows_last(packed), matrix[:-1, :-1], self.bidirectional)
            found += best_paths(first, step, last, lengths)
        return [row[0][0] for row in found]

    def get_config(self):
        config = {"hidden_dim": self.hidden_dim, "bidirectional": self.bidirectional}
        return {**super().get_config(), **config}


def _local_step(steps: np.ndarray, pairs: np.ndarray, both: bool, t: int) -> np.ndarray:
    """log P of label t given the one before, plus that of the one before given t: (C, C, B)."""
    pairs = pairs[..., None]
    forward = log_softmax(steps[t] + pairs, axis=1)
    return forward + log_softmax(steps[t - 1][:, None] + pairs, axis=0) if both else forward

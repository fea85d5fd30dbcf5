"""Maximum entropy Markov model: each label is predicted given the label before it.

Symbols: f_t[k] emission, g[j, k] transition score, # the boundary (start and end).

    P(y) = prod_t P(y_t | y_t-1),    P(k | j) = exp(f_t[k] + g[j, k]) / N_t[j]
    N_t[j] = sum_k exp(f_t[k] + g[j, k])

A CRF divides by one Z for the whole text; an MEMM divides at each position by N_t[j], the sum over
the labels that may follow j (local normalisation). Given the gold labels, every N_t is known at
once, so training needs no recursion. The price is label bias: what follows a label always shares a
mass of 1, however little the emissions support it.

Bidirectional: a second model reads from right to left and shares f and g,

    P'(y) = prod_t P'(y_t | y_t+1),  P'(j | k) = exp(f_t[j] + g[j, k]) / N'_t[k]

The loss is the mean of -log P and -log P'. Decoding ("local") maximises log P + log P'. Both are
sums over neighbouring pairs of labels: the step between t-1 and t is log P(y_t | y_t-1) plus
log P'(y_t-1 | y_t), so Viterbi finds the maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from ..._serialization import serializable
from ..._types import Tensor
from .chain_decoding import LocalChainDecoding
from .packing import gather_positions, one_hot, pack_labels, packed_order
from .sequence_labelling import SequenceLabelling


@serializable
class MaximumEntropyMarkovModel(LocalChainDecoding, SequenceLabelling):
    """MEMM, a locally normalised tagger, on top of a `Dense` of one score per label.

    It maps emissions f (B, T, C) to the same and owns the transitions g (C, C). The loss is
    -log P(y) of the labels y of the n labelled positions, with

        P(y) = prod_t P(y_t | y_t-1),     P(k | y_t-1) = softmax_k(f_t[k] + g[y_t-1, k])

    and P(y_1) = softmax f_1. In training the label before is the gold one, so the loss takes all
    positions at once, where a conditional random field goes through them one by one. The
    bidirectional model also reads from right to left, with the transpose of g; its loss is the mean
    of both directions.

    The layer returns the emissions unchanged, in float32. Labels, masked positions and saved files
    are like those of `ConditionalRandomField`.

    Args:
        lr_multiplier: factor on the learning rate of the transitions (for Adam and similar
            optimizers). Weight files hold the true transitions.
        hidden_dim: rank of g, a product of matrices (C, hidden_dim) and (hidden_dim, C), for many
            labels; None for a full matrix.
        bidirectional: read in both directions.
        allowed: which labels may begin, follow each other and end, as of `ConditionalRandomField`;
            the others are left out of the softmax and are not decoded.

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
        self.head_name = "bi-memm" if bidirectional else "memm"

    def build(self, input_shape):
        super().build(input_shape)
        if self.hidden_dim is None:
            self._transitions = self.add_scores("transitions", self.labels, self.labels)
            return
        # Not zeros: the product of two zero matrices has no gradient.
        shape, some = (self.labels, self.hidden_dim), "glorot_uniform"
        self._left = self.add_scores("left", *shape, initializer=some)
        self._right = self.add_scores("right", *shape, initializer=some)

    @property
    def transitions(self) -> Tensor:
        """Transition scores (C, C), from the row's label to the column's."""
        if self.hidden_dim is None:
            return self.scaled(self._transitions)
        return ops.matmul(self.scaled(self._left), ops.transpose(self.scaled(self._right)))

    def row_losses(self, labels: Tensor, mask: Tensor, scores: Tensor) -> Tensor:
        """Return -log P of the labels, (B,); the mean of both directions if there are two."""
        matrix, count = self.transition_matrix(), scores.shape[-1]
        packed = pack_labels(labels, *packed_order(mask), count)
        edge = ops.full_like(packed[:, :1], count)
        packed = ops.concatenate([edge, packed, edge], axis=1)  # number n is at n
        place = ops.cumsum(ops.cast(mask, "int32"), axis=1)  # number of labels up to here
        gold = one_hot(labels, count)

        def cross_entropy(neighbours, rows):
            # One-hot times matrix, because the gradient of `ops.take` is slow.
            logits = (
                scores + one_hot(gather_positions(packed, neighbours), count + 1) @ rows[:, :count]
            )
            norms = ops.sum(ops.where(mask, ops.logsumexp(logits, axis=-1), 0.0), axis=1)
            return norms - ops.sum(gold * logits, axis=(1, 2))

        value = cross_entropy(ops.maximum(place - 1, 0), matrix)
        if self.bidirectional:
            value = (value + cross_entropy(place + 1, ops.transpose(matrix))) / 2
        return value

    def get_config(self):
        config = {"hidden_dim": self.hidden_dim, "bidirectional": self.bidirectional}
        return {**super().get_config(), **config}

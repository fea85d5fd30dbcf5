"""Linear-chain conditional random field: one probability for all labels of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from ..._serialization import serializable
from ..._types import Tensor
from .forward_backward import Expectations, centred, expectations, steps_between_labels
from .packing import boundary, one_hot, pack_labels, pack_scores, packed_order, unpack
from .sequence_labelling import SequenceLabelling, read_scores


@serializable
class ConditionalRandomField(SequenceLabelling):
    """Linear-chain CRF on top of a `Dense` of one score per label: (B, T, C) to the same.

    With emissions f (T, C), transitions g (C, C), and the labels y of the n labelled positions,

        score(y) = sum_t f_t[y_t] + sum_t g[y_t-1, y_t]
        loss     = -log P(y) = log Z - score(y),     Z = sum over all y' of exp score(y')

    The layer returns the emissions unchanged, in float32, and owns g. Train it with
    `model.compile(loss=crf.loss)`, on labels (B, T) that are negative where there is none: padding,
    [CLS] and [SEP], later pieces of a word. Such positions may be anywhere; the transition then
    leads from the label before them to the label after them.

    The gradient of the loss is the expected features minus those of the gold labels. The
    forward-backward algorithm (see `forward_backward`) gives it in one scan, through which nothing
    is differentiated, so only first derivatives are right. The scan runs over numbers while all
    scores of a batch are moderate, else over logarithms, which is slower. A label of C or more
    makes the loss of its row NaN.

    Args:
        lr_multiplier: factor on the learning rate of the transitions (for Adam and similar
            optimizers). Weight files hold the true transitions.
        allowed: boolean arrays start (C,), transitions (C, C) and end (C,), as from
            `tasks.tagging.allowed_transitions`, or only the transitions. What is not allowed is
            decoded only if there is no other way, and has no part in Z; each gold transition that
            breaks a rule costs 100,000.
        use_start_end: learn a score of each label as the first and as the last of a sequence.

    Source: Lafferty, McCallum and Pereira, Conditional Random Fields, ICML 2001; the multiplied
    learning rate: https://kexue.fm/archives/7196.
    """

    head_name = "crf"
    twice_differentiable = False  # the loss defines its own gradient, see `row_losses`

    def __init__(
        self,
        lr_multiplier: float = 1.0,
        allowed: Sequence[Any] | np.ndarray | None = None,
        use_start_end: bool = False,
        **kwargs: Any,
    ):
        super().__init__(lr_multiplier, allowed, **kwargs)
        self.use_start_end = use_start_end

    def build(self, input_shape):
        super().build(input_shape)
        self._steps_between_labels = steps_between_labels(self.forbidden == 0)
        self._transitions = self.add_scores("transitions", self.labels, self.labels)
        if self.use_start_end:
            self._start = self.add_scores("start", self.labels)
            self._end = self.add_scores("end", self.labels)

    @property
    def transitions(self) -> Tensor:
        """Transition scores (C, C), from the row's label to the column's."""
        return self.scaled(self._transitions)

    def start_and_end(self) -> tuple[Tensor, Tensor]:
        if self.use_start_end:
            return self.scaled(self._start), self.scaled(self._end)
        return super().start_and_end()

    def row_losses(self, labels: Tensor, mask: Tensor, scores: Tensor) -> Tensor:
        """Return -log P of the labels, (B,); arguments as of the base.

        Value and gradient are computed apart. Let q be the expected features minus the gold ones,
        as constants: the gradient of the loss. Then s = q . (f, g) is linear with exactly this
        gradient, and value + (s - stop_gradient(s)) has the value of the loss and the gradient of
        s.
        """
        matrix, packing = self.transition_matrix(), packed_order(mask)
        fixed, fixed_matrix = centred(scores, mask), ops.stop_gradient(matrix)
        log_norm, unary, pairs = self._expectations(fixed, mask, packing, fixed_matrix)
        gold, gold_pairs = _gold_features(labels, *packing, scores.shape[-1])
        value = log_norm - _dot(gold, fixed) - _dot(gold_pairs, fixed_matrix)
        linear = _dot(ops.stop_gradient(unary - gold), scores)
        linear = linear + _dot(ops.stop_gradient(pairs - gold_pairs), matrix)
        return ops.stop_gradient(value) + (linear - ops.stop_gradient(linear))

    def marginals(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the probability of each label at each position, over all label sequences.

        Args:
            scores: (B, T, C), the output of the layer.
            mask: boolean (B, T), True where a position has a label; None for all.

        Returns:
            float32 (B, T, C); zeros where the mask is False. Not differentiable.
        """
        scores, mask = read_scores(scores, mask)
        matrix = ops.stop_gradient(self.transition_matrix())
        return self._expectations(centred(scores, mask), mask, packed_order(mask), matrix)[1]

    def _expectations(
        self, scores: Tensor, mask: Tensor, packing: tuple[Tensor, Tensor], matrix: Tensor
    ) -> Expectations:
        """Run the forward-backward algorithm and undo the packing.

        Args:
            scores: (B, T, C), from `centred`.
            mask: boolean (B, T).
            packing: of the mask, from `packed_order`.
            matrix: (C + 1, C + 1), with the boundary as the last label.

        Returns:
            log Z (B,), probabilities of the labels (B, T, C), expected number of each transition
            (B, C + 1, C + 1).
        """
        emissions = pack_scores(scores, *packing)
        log_norm, unary, pairs = expectations(
            emissions, matrix, scores, self.forbidden, self._steps_between_labels
        )
        return log_norm, ops.where(mask[..., None], unpack(unary, mask)[..., :-1], 0.0), pairs

    def get_config(self):
        return {**super().get_config(), "use_start_end": self.use_start_end}


def _dot(features: Tensor, scores: Tensor) -> Tensor:
    """Return the score of each row's features: (B, M, N) and (M, N) or (B, M, N) to (B,)."""
    return ops.sum(features * scores, axis=(1, 2))


def _gold_features(
    labels: Tensor, order: Tensor, valid: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Return labels one-hot (B, T, C), and the number of each transition (B, C + 1, C + 1)."""
    packed = one_hot(pack_labels(labels, order, valid, count), count + 1)
    edge = 0.0 * packed[:, :1] + boundary(count + 1)
    packed = ops.concatenate([edge, packed, edge], axis=1)
    pairs = ops.transpose(packed[:, :-1], (0, 2, 1)) @ packed[:, 1:]
    return one_hot(labels, count), pairs

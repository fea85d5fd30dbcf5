"""Conditional random field: the labels of a text are one choice, not one per token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from ..._serialization import serializable
from .sequence_labelling import (
    SequenceLabelling,
    boundary,
    boundary_scores,
    one_hot,
    pack_labels,
    pack_scores,
    packed_order,
    read_scores,
    scan_chunks,
    unpack,
    whole_chunks,
)

RANGE = 80.0  # exp(-RANGE) is still well within float32
_LONGEST = 4  # steps between any two labels, above which `_sums_of_products` is not tried


@serializable
class ConditionalRandomField(SequenceLabelling):
    """A linear-chain CRF behind a `Dense` of one score per label: (B, T, C) to the same.

    With emissions f (T, C), transitions g (C, C), and the labels y of the n valid positions,

        score(y) = sum_t f_t[y_t] + sum_t g[y_t-1, y_t]
        loss     = -log P(y) = log Z - score(y),     Z = sum over all y' of exp score(y')

    The layer returns the emissions as they are, in float32, and owns g. Train it with
    `model.compile(loss=crf.loss)`, on labels (B, T) which are negative where there is none:
    padding, [CLS] and [SEP], pieces of a word behind the first. Such positions may stand anywhere;
    the transition then leads from the label before to the label behind.

    The gradient of the loss is the expected features minus those of the gold labels. Forward and
    backward recursion give it in one scan, through which nothing is differentiated, so only first
    derivatives are right. The scan sums numbers where all scores of a batch are moderate, and
    logarithms, which takes longer, where they are not. A label of C or more makes the loss of its
    row NaN.

    Args:
        lr_multiplier: the transitions learn this many times as fast as the optimizer's learning
            rate says (under Adam and its kin). Weight files hold the true transitions.
        allowed: boolean arrays start (C,), transitions (C, C) and end (C,), as from
            `tasks.tagging.allowed_transitions`, or transitions alone. What is not allowed is never
            decoded where there is another way, and has no part in Z; gold labels which break the
            rules cost 100,000 each time.
        use_start_end: learn a score of each label as the first and as the last of a sequence.

    Source: Lafferty, McCallum and Pereira, Conditional Random Fields, ICML 2001; the multiplied
    learning rate: https://kexue.fm/archives/7196.
    """

    twice_differentiable = False  # the loss has a gradient of its own, see `row_losses`

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
        self._distance = distance(self.forbidden == 0)
        self._transitions = self.add_scores("transitions", self.labels, self.labels)
        if self.use_start_end:
            self._start = self.add_scores("start", self.labels)
            self._end = self.add_scores("end", self.labels)

    @property
    def transitions(self) -> Any:
        """Scores (C, C) of a label, the row's, and the next one, the column's."""
        return self.scaled(self._transitions)

    def start_and_end(self) -> tuple[Any, Any]:
        if self.use_start_end:
            return self.scaled(self._start), self.scaled(self._end)
        return super().start_and_end()

    def row_losses(self, labels: Any, mask: Any, scores: Any) -> Any:
        """-log P of the labels; arguments as of the base."""
        matrix, packing = self.transition_matrix(), packed_order(mask)
        fixed, fixed_matrix = centred(scores, mask), ops.stop_gradient(matrix)
        log_norm, unary, pairs = self.expectations(fixed, mask, packing, fixed_matrix)
        gold, gold_pairs = _gold_features(labels, *packing, scores.shape[-1])
        value = log_norm - total(gold, fixed) - total(gold_pairs, fixed_matrix)
        # Linear in scores and matrix: its gradient is that of the loss.
        slope = total(ops.stop_gradient(unary - gold), scores)
        slope = slope + total(ops.stop_gradient(pairs - gold_pairs), matrix)
        return ops.stop_gradient(value) + (slope - ops.stop_gradient(slope))

    def marginals(self, scores: Any, mask: Any | None = None) -> Any:
        """The probability of each label at each position, over all label sequences.

        Args:
            scores: (B, T, C), as the layer returns them.
            mask: boolean (B, T), the positions that have a label; None for all.

        Returns:
            float32 (B, T, C); zeros where the mask is False. Not differentiable.
        """
        scores, mask = read_scores(scores, mask)
        matrix = ops.stop_gradient(self.transition_matrix())
        return self.expectations(centred(scores, mask), mask, packed_order(mask), matrix)[1]

    def expectations(
        self, scores: Any, mask: Any, packing: tuple, matrix: Any
    ) -> tuple[Any, Any, Any]:
        """Forward-backward: log Z, and how often each label and each transition is expected.

        Args:
            scores: (B, T, C), as of `centred`.
            mask: boolean (B, T).
            packing: of the mask, as of `packed_order`.
            matrix: (C + 1, C + 1), with the boundary as the last label.

        Returns:
            log Z (B,), probabilities of the labels (B, T, C), expected number of the transitions
            (B, C + 1, C + 1).
        """
        steps, far = pack_scores(scores, *packing), self._distance
        by_logs = lambda: _sums_of_logs(steps, matrix)  # noqa: E731
        if far:
            often = far > 1
            by_products = lambda: _sums_of_products(steps, matrix, often)  # noqa: E731
            pairs = ops.max(ops.abs(ops.where(self.forbidden < 0, 0.0, matrix)))
            spread = _largest_factor(far, pairs, -ops.min(scores))
            found = ops.cond(spread <= RANGE, by_products, by_logs)
        else:
            found = by_logs()
        log_norm, unary, pairs = found
        return log_norm, ops.where(mask[..., None], unpack(unary, mask)[..., :-1], 0.0), pairs

    def get_config(self):
        return {**super().get_config(), "use_start_end": self.use_start_end}


def centred(scores: Any, mask: Any) -> Any:
    """Scores as constants, with no part that the labels of a position share; 0 where masked.

    That part cancels out of every probability, and without it sums over a long text stay small.
    """
    scores = ops.stop_gradient(scores)
    scores = scores - ops.logsumexp(scores, axis=-1, keepdims=True)
    return ops.where(mask[..., None], scores, 0.0)


def total(features: Any, scores: Any) -> Any:
    """Score of the features of each row: (B, ., .) and (., .) or (B, ., .) to (B,)."""
    return ops.sum(features * scores, axis=(1, 2))


def _gold_features(labels: Any, order: Any, valid: Any, count: int) -> tuple[Any, Any]:
    """The labels in one-hot form (B, T, C), the number of each transition (B, C + 1, C + 1)."""
    packed = one_hot(pack_labels(labels, order, valid, count), count + 1)
    edge = 0.0 * packed[:, :1] + boundary(count + 1)
    packed = ops.concatenate([edge, packed, edge], axis=1)
    pairs = ops.transpose(packed[:, :-1], (0, 2, 1)) @ packed[:, 1:]
    return one_hot(labels, count), pairs


def distance(allowed: np.ndarray) -> int | None:
    """In how many steps, and then in any larger number too, each label can follow each label.

    Args:
        allowed: boolean (C + 1, C + 1), with the boundary as the last label.

    Returns:
        1 where all is allowed, 2 for BIO, 3 for BIOES and BMES (2 for BMES of one type); None if it
        is more than _LONGEST, or if a text of some length cannot but break the rules.
    """
    labels, begin, end = allowed[:-1, :-1], allowed[-1, :-1], allowed[:-1, -1]
    paths = np.eye(len(labels), dtype=bool)
    for steps in range(_LONGEST + 1):
        if steps and paths.all():
            return steps
        if not (begin @ paths @ end):
            return None
        paths = paths @ labels
    return None


def _largest_factor(far: int, pairs: Any, emissions: Any) -> Any:
    """Logarithm of the factor by which two numbers of a position of `_sums_of_products` may differ.

    A label can be reached from the best one of `far` positions before; what lies on that way costs
    `emissions` at most a position and `pairs` a transition, and the numbers between are divided by
    their sum, exp(pairs) at most. Without rules it is every second position that is divided.

    Args:
        far: as of `distance`.
        pairs, emissions: the largest score of a pair, and of a centred emission, without sign.
    """
    return max(far, 2) * emissions + max(2 * far - 1, 2) * pairs


def _sums_of_logs(steps: Any, matrix: Any) -> tuple[Any, Any, Any]:
    """Forward-backward over logarithms: right for all numbers.

    Args:
        steps: (T, C + 1, B), as of `pack_scores`.
        matrix: (C + 1, C + 1).

    Returns:
        log Z (B,), probabilities (B, T, C + 1), positions packed; transitions (B, C + 1, C + 1).
    """
    begin = ops.zeros_like(steps[0]) + boundary_scores(steps.shape[1])[:, None]
    begin = ops.stack([begin, begin], axis=1)
    # One scan for both directions: the second reads the text and the matrix the other way round.
    both = ops.stack([steps, ops.flip(steps, axis=0)], axis=2)  # (T, C + 1, 2, B)
    pairs = ops.stack([matrix, ops.transpose(matrix)], axis=2)[..., None]  # (from, to, 2, 1)

    def step(before, read):
        # Without its maximum a state stays small; sums over a long text would lose their last
        # digits, and all probabilities with them.
        state = ops.logsumexp(before[:, None] + pairs, axis=0) + read
        return state - ops.max(state, axis=0), before

    last, befores = ops.scan(step, begin, both)
    # forward[t]: all that is before position t; backward[t]: position t and all behind it. Each is
    # right but for a number of its own.
    forward = ops.concatenate([befores[:, :, 0], last[None, :, 0]], axis=0)
    backward = ops.concatenate([last[None, :, 1], ops.flip(befores[:, :, 1], axis=0)], axis=0)
    # The transition into position t, the last one into the end: (T + 1, from, to, B).
    into = forward[:, :, None] + matrix[..., None]
    removed = ops.max(ops.logsumexp(into[:-1], axis=1) + steps, axis=1)
    log_norm = ops.sum(removed, axis=0) + ops.logsumexp(into[-1, :, -1], axis=0)
    used = into + backward[:, None]
    used = used - ops.logsumexp(used, axis=(1, 2), keepdims=True)
    # Processors are slow with numbers that are almost too small for float32.
    used = ops.exp(ops.maximum(used, -80.0))
    unary = ops.transpose(ops.sum(used[:-1], axis=1), (2, 0, 1))
    return log_norm, unary, ops.transpose(ops.sum(used, axis=0), (2, 0, 1))


def _sums_of_products(steps: Any, matrix: Any, often: bool) -> tuple[Any, Any, Any]:
    """`_sums_of_logs` over the numbers themselves, scaled now and then: a product for each step.

    With E = exp(matrix), w_t = exp(steps_t) and `*` by element, the sums of all that may stand
    before and behind are, but for a factor of their own at each position,

        forward_t = (E' forward_t-1) * w_t,     backward_t = (E backward_t+1) * w_t

    and P(y_t-1 = i, y_t = j) is forward_t-1[i] E[i, j] backward_t[j] over the sum of these. Both
    recursions are one, over vectors of 2 (C + 1) numbers, which are divided by their sum at every
    position if `often`, else at every second one. What is forbidden is 0.
    """
    length, size = ops.shape(steps)[0], steps.shape[1]
    edge, factors = boundary(size)[:, None], ops.exp(matrix)
    weights = whole_chunks(ops.exp(steps), edge)
    across, nothing = ops.transpose(factors), ops.zeros_like(factors)
    both, halves = (
        ops.concatenate(
            [ops.concatenate([a, nothing], axis=1), ops.concatenate([nothing, b], axis=1)], axis=0
        )
        for a, b in ((across, factors), (nothing + 1.0, nothing + 1.0))
    )

    def step(before, read, place):
        state = (both @ before) * read
        return state / (halves @ state) if often or place % 2 else state

    begin = ops.zeros_like(steps[0]) + edge
    read = ops.concatenate([weights, ops.flip(weights, axis=0)], axis=1)
    states = scan_chunks(step, ops.concatenate([begin, begin], axis=0), read)
    after, backward = states[:, :size], ops.flip(states[:, size:], axis=0)
    forward = ops.concatenate([begin[None], after[:-1]], axis=0)
    reached = across @ forward
    shares = reached * backward
    norm = ops.sum(shares, axis=1, keepdims=True)
    unary = ops.transpose((shares / norm)[:length], (2, 0, 1))
    pairs = ops.transpose(forward, (2, 1, 0)) @ ops.transpose(backward / norm, (2, 0, 1)) * factors
    end = after[-1] * factors[:, -1:]
    total = ops.sum(end, axis=0)
    pairs = pairs + ops.transpose(end / total)[..., None] * boundary(size)
    factor = ops.sum(reached * weights, axis=1) / ops.sum(after, axis=1)
    return ops.sum(ops.log(factor), axis=0) + ops.log(total), unary, pairs

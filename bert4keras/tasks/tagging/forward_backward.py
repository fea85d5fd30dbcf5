"""Forward-backward algorithm of a linear-chain CRF: log Z, marginals, expected transitions.

Symbols, for one packed row (see `packing`):

    C        number of labels; label # = C is the boundary
    w_t[k]   emission of label k at position t = 1 .. T. Behind the n labelled positions only #
             is possible
    G[j, k]  transition score from label j to label k, (C + 1, C + 1), with G[#, #] = 0
    y        labels y_1 .. y_n, with y_0 = y_n+1 = #

    score(y) = sum_t w_t[y_t] + sum_t G[y_t-1, y_t]           Z = sum over all y of exp score(y)

Forward algorithm. Let a_t[k] be the logarithm of the sum of exp score over all labels of positions
1 .. t that end in k. The last transition is the only term that two neighbouring positions share,
so the sum over C^t sequences is one matrix product per position, in the log semiring: products
become sums, and sums become logsumexp.

    a_0[k] = 0 if k = # else -inf
    a_t[k] = w_t[k] + logsumexp_j (a_t-1[j] + G[j, k])
    log Z  = logsumexp_j (a_T[j] + G[j, #])

Backward algorithm. The same from the other end; b_t[j] covers positions t .. T that begin in j.

    b_t[j] = w_t[j] + logsumexp_k (G[j, k] + b_t+1[k])

Marginals. Both meet between t-1 and t, and a sum over one of the two labels gives the other's:

    P(y_t-1 = j, y_t = k) = exp(a_t-1[j] + G[j, k] + b_t[k]) / Z
    P(y_t = k)            = sum_j P(y_t-1 = j, y_t = k)

These are the derivatives of log Z: by w_t[k], and summed over t by G[j, k]. So the gradient of a
CRF is known without differentiating through the recursion.

Only sums over ratios are needed, so a state may be divided by any number at any position: by its
maximum in `_log_space`, by its sum in `_scaled`. log Z is the sum of the logarithms of what was
divided out.

Source: Lafferty, McCallum and Pereira, 2001; Rabiner, A Tutorial on Hidden Markov Models,
Proceedings of the IEEE 77, 1989 (scaling).
"""

from __future__ import annotations

import numpy as np
from keras import ops

from ..._types import Tensor
from .packing import boundary, boundary_scores, scan_chunks, whole_chunks

RANGE = 80.0  # exp(-RANGE) is well within float32
_MAX_STEPS = 4  # largest result of `steps_between_labels` for which `_scaled` is tried

Expectations = tuple[Tensor, Tensor, Tensor]


def centred(scores: Tensor, mask: Tensor) -> Tensor:
    """Subtract from scores (B, T, C) their logsumexp over labels; 0 where masked. No gradient.

    A number that all labels of a position share cancels out of every probability. Without it the
    sums over a long text stay small.
    """
    scores = ops.stop_gradient(scores)
    scores = scores - ops.logsumexp(scores, axis=-1, keepdims=True)
    return ops.where(mask[..., None], scores, 0.0)


def steps_between_labels(allowed: np.ndarray) -> int | None:
    """Return the number of transitions after which any label can follow any label.

    It must also hold for every larger number.

    Args:
        allowed: boolean (C + 1, C + 1), with the boundary as the last label.

    Returns:
        1 if everything is allowed, 2 for BIO, 3 for BIOES and BMES (2 for BMES of one type). None
        if it is above 4, or if texts of some length have to break a rule.
    """
    labels, begin, end = allowed[:-1, :-1], allowed[-1, :-1], allowed[:-1, -1]
    paths = np.eye(len(labels), dtype=bool)
    for steps in range(_MAX_STEPS + 1):
        if steps and paths.all():
            return steps
        if not (begin @ paths @ end):
            return None
        paths = paths @ labels
    return None


def expectations(
    emissions: Tensor, matrix: Tensor, scores: Tensor, forbidden: np.ndarray, steps: int | None
) -> Expectations:
    """Compute log Z, the marginals of labels and the expected number of each transition.

    Numbers are faster than logarithms, but only right while all numbers of a position fit into
    float32; `ops.cond` chooses by the largest ratio they can have.

    Args:
        emissions: w, (T, C + 1, B), from `pack_scores` of `scores`.
        matrix: G, (C + 1, C + 1), forbidden transitions included.
        scores: (B, T, C), from `centred`.
        forbidden: (C + 1, C + 1), below 0 where a transition is forbidden.
        steps: from `steps_between_labels`; None: use logarithms.

    Returns:
        log Z (B,); P(y_t = k), packed, (B, T, C + 1); sum_t P(y_t-1 = j, y_t = k),
        (B, C + 1, C + 1).
    """
    if not steps:
        return _log_space(emissions, matrix)
    largest = ops.max(ops.abs(ops.where(forbidden < 0, 0.0, matrix)))
    return ops.cond(
        _log_ratio(steps, largest, -ops.min(scores)) <= RANGE,
        lambda: _scaled(emissions, matrix, every_position=steps > 1),
        lambda: _log_space(emissions, matrix),
    )


def _log_ratio(steps: int, transition: Tensor, emission: Tensor) -> Tensor:
    """Bound the logarithm of the ratio of two numbers of one position in `_scaled`.

    Any label can be reached from the best label `steps` positions before. Each position on that
    way costs at most `emission`, each transition at most `transition`; the divisions between them
    are by at most exp(transition). If any label can follow any label (`steps` is 1), only every
    second position is divided, so two positions count.

    Args:
        steps: from `steps_between_labels`.
        transition, emission: largest absolute value of a transition and of a centred emission.
    """
    return max(steps, 2) * emission + max(2 * steps - 1, 2) * transition


def _log_space(emissions: Tensor, matrix: Tensor) -> Expectations:
    """Run the recursions over logarithms, which is right for all scores; see the module.

    One scan does both directions: the second reads the text and the matrix reversed.

    Args, Returns: as of `expectations`.
    """
    begin = ops.zeros_like(emissions[0]) + boundary_scores(emissions.shape[1])[:, None]
    begin = ops.stack([begin, begin], axis=1)
    both = ops.stack([emissions, ops.flip(emissions, axis=0)], axis=2)  # (T, C + 1, 2, B)
    pairs = ops.stack([matrix, ops.transpose(matrix)], axis=2)[..., None]  # (from, to, 2, 1)

    def step(before, inputs):
        # Minus its maximum: sums over a long text would lose the last digits of float32, and with
        # them all probabilities.
        state = ops.logsumexp(before[:, None] + pairs, axis=0) + inputs
        return state - ops.max(state, axis=0), before

    last, states = ops.scan(step, begin, both)
    # forward[t] is a_t and backward[t] is b_t+1, t = 0 .. T, each up to a number per position.
    forward = ops.concatenate([states[:, :, 0], last[None, :, 0]], axis=0)
    backward = ops.concatenate([last[None, :, 1], ops.flip(states[:, :, 1], axis=0)], axis=0)
    into = forward[:, :, None] + matrix[..., None]  # a_t[j] + G[j, k]: (T + 1, j, k, B)
    removed = ops.max(ops.logsumexp(into[:-1], axis=1) + emissions, axis=1)
    log_norm = ops.sum(removed, axis=0) + ops.logsumexp(into[-1, :, -1], axis=0)
    used = into + backward[:, None]
    used = used - ops.logsumexp(used, axis=(1, 2), keepdims=True)
    # exp of less would give denormal numbers, with which processors are slow.
    used = ops.exp(ops.maximum(used, -80.0))
    unary = ops.transpose(ops.sum(used[:-1], axis=1), (2, 0, 1))
    return log_norm, unary, ops.transpose(ops.sum(used, axis=0), (2, 0, 1))


def _scaled(emissions: Tensor, matrix: Tensor, every_position: bool) -> Expectations:
    """Run the recursions over scaled numbers: one matrix product per position.

    With E = exp(G), v_t = exp(w_t) and `*` by element, up to a factor per position,

        forward_t = (E' forward_t-1) * v_t,     backward_t = (E backward_t+1) * v_t

    and P(y_t-1 = i, y_t = j) is forward_t-1[i] E[i, j] backward_t[j] over the sum of these. Both
    are one recursion over vectors of 2 (C + 1) numbers with a block-diagonal matrix; `halves`
    sums each half. Forbidden transitions are 0.

    Args:
        emissions, matrix: as of `expectations`.
        every_position: divide the state by its sum at every position, not at every second one.
    """
    length, size = ops.shape(emissions)[0], emissions.shape[1]
    edge, factors = boundary(size)[:, None], ops.exp(matrix)
    weights = whole_chunks(ops.exp(emissions), edge)
    across, nothing = ops.transpose(factors), ops.zeros_like(factors)
    both, halves = (
        ops.concatenate(
            [ops.concatenate([a, nothing], axis=1), ops.concatenate([nothing, b], axis=1)], axis=0
        )
        for a, b in ((across, factors), (nothing + 1.0, nothing + 1.0))
    )

    def step(before, inputs, place):
        state = (both @ before) * inputs
        return state / (halves @ state) if every_position or place % 2 else state

    begin = ops.zeros_like(emissions[0]) + edge
    inputs = ops.concatenate([weights, ops.flip(weights, axis=0)], axis=1)
    states = scan_chunks(step, ops.concatenate([begin, begin], axis=0), inputs)
    after, backward = states[:, :size], ops.flip(states[:, size:], axis=0)
    forward = ops.concatenate([begin[None], after[:-1]], axis=0)
    reached = across @ forward
    shares = reached * backward
    norm = ops.sum(shares, axis=1, keepdims=True)
    unary = ops.transpose((shares / norm)[:length], (2, 0, 1))
    pairs = ops.transpose(forward, (2, 1, 0)) @ ops.transpose(backward / norm, (2, 0, 1)) * factors
    end = after[-1] * factors[:, -1:]  # the transition into the boundary at the end
    total = ops.sum(end, axis=0)
    pairs = pairs + ops.transpose(end / total)[..., None] * boundary(size)
    removed = ops.sum(reached * weights, axis=1) / ops.sum(after, axis=1)
    return ops.sum(ops.log(removed), axis=0) + ops.log(total), unary, pairs

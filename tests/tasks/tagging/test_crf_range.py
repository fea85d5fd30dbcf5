"""The conditional random field where numbers are extreme: float32 against float64 logarithms."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.tagging import ConditionalRandomField, allowed_transitions, tag_names
from helpers.label_sequences import chain_scores, log_sum

RULES = allowed_transitions(tag_names([""], "BMES", outside=False), "BMES")
LENGTH, C = 509, 4  # not a multiple of the chunk that one step of the scan reads
MODULE = sys.modules["bert4keras.tasks.tagging.forward_backward"]


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def field(pair_scale: float, allowed=None) -> ConditionalRandomField:
    head, rng = ConditionalRandomField(allowed=allowed), np.random.default_rng(6)
    head.build((None, None, C))
    head.set_weights([pair_scale * rng.uniform(-1, 1, (C, C))])
    return head


def text(scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (2, LENGTH, C) up to +-scale, labels that keep the rules, and the mask.

    The second row has no label at every third position, nor at the last 30.
    """
    rng = np.random.default_rng(7)
    scores = (scale * rng.choice([-1.0, 0.0, 1.0], (2, LENGTH, C))).astype("float32")
    mask = np.ones((2, LENGTH), bool)
    mask[1, ::3] = mask[1, -30:] = False
    labels = np.full(mask.shape, -1)
    for row, valid in enumerate(mask):
        count = valid.sum()  # S, or B M E S over and over
        labels[row, valid] = np.resize([0, 1, 2, 3], count)
        labels[row, np.flatnonzero(valid)[count // 4 * 4 :]] = 3
    return scores, labels, mask


def by_logarithms(head, scores, labels, mask) -> tuple[np.ndarray, np.ndarray]:
    """Losses (B,) and marginals (B, T, C) in float64."""
    matrix = value(head.transition_matrix()).astype("float64")
    g, start, end = matrix[:-1, :-1], matrix[-1, :-1], matrix[:-1, -1]
    losses, marginals = [], np.zeros(scores.shape)
    for row, valid in enumerate(mask):
        f, gold = scores[row, valid].astype("float64"), labels[row, valid]
        alphas, betas = [start + f[0]], [end]
        for t in range(1, len(f)):
            alphas.append(np.array([log_sum(alphas[-1] + g[:, j]) for j in range(C)]) + f[t])
            ahead = f[-t] + betas[-1]
            betas.append(np.array([log_sum(g[j] + ahead) for j in range(C)]))
        log_norm = log_sum(alphas[-1] + end)
        marginals[row, valid] = np.exp(np.array(alphas) + betas[::-1] - log_norm)
        losses.append(log_norm - chain_scores(gold[None], f, g, start, end)[0])
    return np.array(losses), marginals


CASES = {  # scale of the scores, of the transitions, rules; tolerance of marginals
    # The limits of the recursion without logarithms: 2 * 29 + 2 * 10; with rules 2 * 36 + 3 * 2.
    "at_the_limit": (14.0, 9.9, None, 1e-4),
    "rules_at_the_limit": (17.5, 2.0, RULES, 1e-4),
    "large": (50.0, 2.0, None, 1e-4),
    "large_pairs": (50.0, 60.0, None, 1e-4),
    "rules": (50.0, 2.0, RULES, 1e-4),
}


@pytest.mark.parametrize("name", CASES)
def test_extreme_scores(name):
    scale, pair_scale, rules, tolerance = CASES[name]
    head, (scores, labels, mask) = field(pair_scale, rules), text(scale)
    losses, marginals = by_logarithms(head, scores, labels, mask)
    np.testing.assert_allclose(value(head.loss(labels, scores)), losses, rtol=1e-5, atol=1e-3)
    found = value(head.marginals(scores, mask))
    np.testing.assert_allclose(found, marginals, atol=tolerance)


def test_without_the_check_large_scores_would_be_wrong(monkeypatch):
    """Both recursions agree on moderate scores; on large ones only logarithms are right."""
    scores, labels, mask = text(3.0)
    heads = field(2.0), field(2.0, RULES)
    numbers = [value(head.loss(labels, scores)) for head in heads]
    monkeypatch.setattr(MODULE, "RANGE", -1.0)
    for head, found in zip(heads, numbers, strict=True):
        np.testing.assert_allclose(value(head.loss(labels, scores)), found, rtol=1e-5)
    monkeypatch.setattr(MODULE, "RANGE", np.inf)
    head, (scores, labels, mask) = field(2.0, RULES), text(50.0)
    wanted = by_logarithms(head, scores, labels, mask)[0]
    assert not np.allclose(value(head.loss(labels, scores)), wanted, rtol=1e-3)


def rules(scheme: str, **options):
    return allowed_transitions(tag_names(["x", "y"], scheme, **options), scheme)


def test_steps_between_any_two_labels():
    """I needs B before it; in BIOES, a B of another type needs its E first."""
    everything = np.ones((3, 3), bool)
    cases = [
        (1, everything),
        (2, rules("BIO")),
        (3, rules("BIOES")),
        (2, RULES),
        (3, rules("BMES")),
        (2, everything & ~np.eye(3, dtype=bool)),
        (None, np.roll(np.eye(3, dtype=bool), 1, axis=1)),  # a cycle
        (None, (np.eye(3)[0], everything, np.eye(3)[1])),  # no text of one label
    ]
    for steps, allowed in cases:
        head = field_of(allowed)
        assert MODULE.steps_between_labels(head.forbidden == 0) == steps
        labels = (head.forbidden[:-1, :-1] == 0).astype(int)
        for count in range(1, steps or 0):  # and not in fewer
            assert not np.linalg.matrix_power(labels, count).all()


def field_of(allowed) -> ConditionalRandomField:
    head = ConditionalRandomField(allowed=allowed)
    head.build((None, None, len(head.allowed[0])))
    return head

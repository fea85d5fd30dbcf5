"""The maximum entropy Markov model against its probabilities, one label after another."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.tagging import (
    ConditionalRandomField,
    MaximumEntropyMarkovModel,
    allowed_transitions,
    tag_names,
)
from helpers.label_sequences import MASK, FreeScores, chain_scores, every, log_sum

B, T, C = *MASK.shape, 4
RULES = allowed_transitions(tag_names([""], "BMES", outside=False), "BMES")
OPTIONS = {
    "forward": {},
    "both": {"bidirectional": True},
    "low_rank": {"hidden_dim": 2},
    "rules": {"allowed": RULES, "lr_multiplier": 5.0},
    "everything": {"allowed": RULES, "bidirectional": True, "hidden_dim": 2, "lr_multiplier": 5.0},
}
FORBIDDEN = -1e5
SCORES = np.random.default_rng(5).normal(size=(B, T, C)).astype("float32")


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def random_model(name: str) -> MaximumEntropyMarkovModel:
    """A head with random weights."""
    head, rng = MaximumEntropyMarkovModel(**OPTIONS[name]), np.random.default_rng(6)
    head.build((None, None, C))
    for weight in head.weights:
        weight.assign(1.5 * rng.normal(size=weight.shape) / head.lr_multiplier)
    return head


def true_weights(head) -> list[np.ndarray]:
    return [value(weight).astype("float64") * head.lr_multiplier for weight in head.weights]


def pair_scores(head, weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transitions, start and end, with the rules, for weights in the order of the head's."""
    g = weights[0] @ weights[1].T if head.hidden_dim else weights[0]
    rules = [np.zeros((C,)), np.zeros((C, C)), np.zeros((C,))]
    if head.allowed is not None:
        rules = [np.where(allowed, 0, FORBIDDEN) for allowed in head.allowed]
    return g + rules[1], rules[0], rules[2]


def log_probabilities(path, f, g, start, end) -> tuple[float, float]:
    """log P of labels read from left to right, and of those read from right to left."""
    forward = backward = 0.0
    for t, label in enumerate(path):
        logits = f[t] + (g[path[t - 1]] if t else start)
        forward += logits[label] - log_sum(logits)
        logits = f[t] + (g[:, path[t + 1]] if t + 1 < len(path) else end)
        backward += logits[label] - log_sum(logits)
    return forward, backward


def losses_by_hand(head, labels, scores, weights) -> np.ndarray:
    """The loss of each row."""
    found, pairs = [], pair_scores(head, weights)
    for row, gold in zip(scores.astype("float64"), labels, strict=True):
        forward, backward = log_probabilities(gold[gold >= 0], row[gold >= 0], *pairs)
        found.append(-(forward + backward) / 2 if head.bidirectional else -forward)
    return np.array(found)


def random_labels(head, mask=MASK) -> np.ndarray:
    """Labels (B, T) that keep the rules, -1 where masked."""
    labels, rng, pairs = (
        np.full(mask.shape, -1),
        np.random.default_rng(8),
        pair_scores(head, true_weights(head)),
    )
    for row, valid in enumerate(mask):
        paths = every(C, valid.sum())
        kept = chain_scores(paths, SCORES[row, valid], *pairs) > FORBIDDEN / 2
        labels[row, valid] = rng.choice(paths[kept])
    return labels


@pytest.mark.parametrize("name", OPTIONS)
def test_loss(name):
    head = random_model(name)
    labels, weights = random_labels(head), true_weights(head)
    wanted = losses_by_hand(head, labels, SCORES, weights)
    np.testing.assert_allclose(value(head.loss(labels, SCORES)), wanted, atol=2e-5)


def test_gradient():
    """In `fit`, compiled where the backend does, against differences of the loss by hand."""
    head = random_model("everything")
    labels, parts = random_labels(head), [SCORES.astype("float64"), *true_weights(head)]
    wanted, step = [], 1e-4
    for part in parts:
        gradient = np.zeros(part.shape)
        for place in np.ndindex(part.shape):
            middle, ends = part[place], []
            for part[place] in (middle + step, middle - step):
                ends.append(losses_by_hand(head, labels, parts[0], parts[1:]).sum())
            part[place] = middle
            gradient[place] = (ends[0] - ends[1]) / (2 * step)
        wanted.append(gradient)
    jit = keras.backend.backend() != "torch"
    loss, found = FreeScores(head, SCORES).gradients(labels, jit_compile=jit)
    np.testing.assert_allclose(
        loss, losses_by_hand(head, labels, *parts[:1], parts[1:]).sum(), 1e-5
    )
    np.testing.assert_allclose(found[0], wanted[0], atol=2e-5)
    assert (found[0][~MASK] == 0).all()
    for gradient, expected in zip(found[1:], wanted[1:], strict=True):
        np.testing.assert_allclose(gradient, expected * head.lr_multiplier, atol=5e-4)


@pytest.mark.spread
@pytest.mark.parametrize("name", OPTIONS)
def test_decoding(name):
    """By scores as a conditional random field does, or by probabilities."""
    head = random_model(name)
    pairs = pair_scores(head, true_weights(head))
    decoded = {method: head.decode(SCORES, MASK, method) for method in ("score", "local")}
    graph = value(head.viterbi(SCORES, MASK))
    for row, valid in enumerate(MASK):
        paths, f = every(C, valid.sum()), SCORES[row, valid].astype("float64")
        scores = chain_scores(paths, f, *pairs)
        chances = np.array([log_probabilities(path, f, *pairs) for path in paths])
        chances = chances.sum(1) if head.bidirectional else chances[:, 0]
        if head.allowed is not None:
            chances[scores < FORBIDDEN / 2] = -np.inf
        np.testing.assert_array_equal(decoded["score"][row], paths[scores.argmax()])
        np.testing.assert_array_equal(graph[row, valid], paths[scores.argmax()])
        np.testing.assert_array_equal(decoded["local"][row], paths[chances.argmax()])
        np.testing.assert_array_equal(
            head.k_best(SCORES, 2, MASK)[row][0][0], decoded["score"][row]
        )
    assert (graph[~MASK] == -1).all()
    everywhere = np.stack(head.decode(SCORES))
    np.testing.assert_array_equal(everywhere, value(head.viterbi(SCORES)))


@pytest.mark.spread
def test_both_ways_of_decoding_and_both_directions_differ():
    """The normalisers matter, and so does the second direction."""
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(40, T, C)).astype("float32")
    one, two = random_model("forward"), random_model("both")
    by_score = np.stack(one.decode(scores))
    local = np.stack(one.decode(scores, method="local"))
    assert 0 < (by_score == local).mean() < 1
    assert (local != np.stack(two.decode(scores, method="local"))).any()
    np.testing.assert_array_equal(by_score, np.stack(two.decode(scores)))


@pytest.mark.spread
def test_what_the_oracle_would_notice():
    for name in ("forward", "both"):
        head, other = random_model(name), random_model(name)
        labels = random_labels(head)
        other._transitions.assign(ops.transpose(head._transitions))
        loss, moved = value(head.loss(labels, SCORES)), np.roll(labels, 1, axis=1)
        for wrong in (other.loss(labels, SCORES), head.loss(moved, SCORES)):
            assert np.abs(value(wrong) - loss)[:-1].max() > 0.01
        # Labels read in the other direction: the transpose, for a text the other way round.
        reversed_loss = value(other.loss(labels[:, ::-1].copy(), SCORES[:, ::-1].copy()))
        assert np.allclose(reversed_loss, loss, atol=1e-5) == (name == "both")


def test_the_global_model_is_another():
    """With the same weights, the losses differ; without transitions they do not."""
    head, field = random_model("forward"), ConditionalRandomField()
    field.build((None, None, C))
    field._transitions.assign(head._transitions)
    labels = random_labels(head)
    difference = value(head.loss(labels, SCORES)) - value(field.loss(labels, SCORES))
    assert np.abs(difference).max() > 0.05
    for layer in (head, field):
        layer._transitions.assign(np.zeros((C, C)))
    difference = value(head.loss(labels, SCORES)) - value(field.loss(labels, SCORES))
    np.testing.assert_allclose(difference, 0, atol=1e-5)


def test_a_low_rank_is_small_and_starts_small():
    """Whatever the multiplier."""
    for multiplier in (1.0, 1000.0):
        head = MaximumEntropyMarkovModel(multiplier, hidden_dim=3)
        head.build((None, None, 50))
        assert head.count_params() == 2 * 3 * 50
        g = value(head.transitions)
        assert 0.01 < np.abs(g).max() < 1
        assert np.linalg.matrix_rank(g) == 3
    full = MaximumEntropyMarkovModel()
    full.build((None, None, 50))
    assert full.count_params() == 50 * 50


@pytest.mark.spread
def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="hidden_dim=0 must be at least 1, or None"):
        MaximumEntropyMarkovModel(hidden_dim=0)
    with pytest.raises(ValueError, match='method=\'best\' must be "score" or "local"'):
        random_model("forward").decode(SCORES, MASK, "best")

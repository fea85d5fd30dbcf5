"""The conditional random field against sums over all label sequences."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.tagging import ConditionalRandomField, allowed_transitions, tag_names
from helpers.label_sequences import MASK, FreeScores, chain_scores, every, log_sum

B, T, C = *MASK.shape, 4
RULES = allowed_transitions(tag_names([""], "BMES", outside=False), "BMES")
OPTIONS = {
    "plain": {},
    "start_end": {"use_start_end": True},
    "rules": {"allowed": RULES},
    "everything": {"allowed": RULES, "use_start_end": True, "lr_multiplier": 5.0},
    "pairs": {"allowed": RULES[1]},
}
FORBIDDEN = -1e5
SCORES = np.random.default_rng(5).normal(size=(B, T, C)).astype("float32")


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def random_field(options: dict | str = "plain", labels: int = C) -> ConditionalRandomField:
    """A head with random weights."""
    options = OPTIONS[options] if isinstance(options, str) else options
    head, rng = ConditionalRandomField(**options), np.random.default_rng(6)
    head.build((None, None, labels))
    for weight in head.weights:
        weight.assign(rng.normal(size=weight.shape) / head.lr_multiplier)
    return head


def pair_scores(head) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transitions, start and end of a head: weights times the multiplier, rules on top."""
    weights = {w.name: value(w).astype("float64") * head.lr_multiplier for w in head.weights}
    nothing = np.zeros(head.labels)
    g, start, end = (weights.get(name, nothing) for name in ("transitions", "start", "end"))
    if head.allowed is None:
        return g, start, end
    rules = [np.where(allowed, 0, FORBIDDEN) for allowed in head.allowed]
    return g + rules[1], start + rules[0], end + rules[2]


def all_scores(head, scores=SCORES, mask=MASK) -> list:
    """For each row all sequences and their scores."""
    found = []
    for row, valid in zip(scores, mask, strict=True):
        paths = every(head.labels, valid.sum())
        found.append((paths, chain_scores(paths, row[valid], *pair_scores(head))))
    return found


def random_labels(head, mask=MASK) -> np.ndarray:
    """Labels (B, T) that keep the rules, -1 where masked."""
    labels, rng = np.full(mask.shape, -1), np.random.default_rng(8)
    for row, (paths, values) in enumerate(all_scores(head, mask=mask)):
        labels[row, mask[row]] = rng.choice(paths[values > FORBIDDEN / 2])
    return labels


def enumerated(head, labels, scores=SCORES) -> dict:
    """Loss of each row, marginals, and expected minus gold features."""
    mask, transitions = labels >= 0, np.zeros((head.labels, head.labels))
    found = {"loss": [], "marginals": np.zeros(scores.shape), "transitions": transitions}
    found |= {"start": np.zeros(head.labels), "end": np.zeros(head.labels)}
    for row, (paths, values) in enumerate(all_scores(head, scores, mask)):
        gold = (paths == labels[row, mask[row]]).all(axis=1)
        found["loss"].append(log_sum(values) - float(values[gold][0]))
        share = np.exp(values - log_sum(values))
        for path, weight, excess in zip(paths, share, share - gold, strict=True):
            np.add.at(found["marginals"][row], (np.flatnonzero(mask[row]), path), weight)
            np.add.at(found["transitions"], (path[:-1], path[1:]), excess)
            np.add.at(found["start"], path[:1], excess)
            np.add.at(found["end"], path[-1:], excess)
    one_hot = (labels[..., None] == np.arange(head.labels)).astype(float)
    return {**found, "scores": found["marginals"] - one_hot}


@pytest.mark.parametrize("name", OPTIONS)
def test_loss_and_marginals(name):
    head = random_field(name)
    labels = random_labels(head)
    wanted = enumerated(head, labels)
    np.testing.assert_allclose(value(head.loss(labels, SCORES)), wanted["loss"], atol=2e-5)
    marginals = value(head.marginals(SCORES, MASK))
    np.testing.assert_allclose(marginals, wanted["marginals"], atol=2e-5)


def test_gradient():
    """In `fit`, compiled where the backend does: expected minus gold features."""
    head = random_field("everything")
    labels = random_labels(head)
    wanted = enumerated(head, labels)
    jit = keras.backend.backend() != "torch"
    loss, gradients = FreeScores(head, SCORES).gradients(labels, jit_compile=jit)
    np.testing.assert_allclose(loss, sum(wanted["loss"]), rtol=1e-5)
    np.testing.assert_allclose(gradients[0], wanted["scores"], atol=2e-5)
    for weight, found in zip(head.weights, gradients[1:], strict=True):
        expected = wanted[weight.name] * head.lr_multiplier
        np.testing.assert_allclose(found, expected, atol=2e-4, err_msg=weight.name)


@pytest.mark.spread
@pytest.mark.parametrize("name", OPTIONS)
def test_decoding(name):
    """Batched in the graph, in numpy, and the best few."""
    head = random_field(name)
    graph = value(head.viterbi(SCORES, MASK))
    assert graph.dtype == "int32"
    assert (graph[~MASK] == -1).all()
    best = head.k_best(SCORES, 3, MASK)
    for row, (paths, values) in enumerate(all_scores(head)):
        order = np.argsort(-values)[:3]
        np.testing.assert_array_equal(graph[row, MASK[row]], paths[order[0]])
        np.testing.assert_array_equal(head.decode(SCORES, MASK)[row], paths[order[0]])
        np.testing.assert_array_equal([path for path, _ in best[row]], paths[order])
        np.testing.assert_allclose([s for _, s in best[row]], values[order], rtol=1e-5)
    everywhere = value(head.viterbi(SCORES))
    np.testing.assert_array_equal(everywhere, np.stack(head.decode(SCORES)))


@pytest.mark.spread
def test_what_the_oracle_would_notice():
    """A mask moved by one, scores of pairs or of the ends the other way round, no rules."""
    head = random_field("everything")
    labels = random_labels(head)
    loss, best = value(head.loss(labels, SCORES)), value(head.viterbi(SCORES, MASK))

    def differs(other, mask=MASK, labels=labels):
        losses = value(other.loss(labels, SCORES))
        assert np.abs(losses - loss)[:-1].max() > 0.01
        assert (value(other.viterbi(SCORES, mask)) != best).any()

    differs(head, np.roll(MASK, 1, axis=1), np.roll(labels, 1, axis=1))
    transposed, swapped = random_field("everything"), random_field("everything")
    transposed._transitions.assign(ops.transpose(head._transitions))
    swapped._start.assign(head._end)
    swapped._end.assign(head._start)
    for other in (transposed, swapped, random_field("plain")):
        differs(other)


@pytest.mark.spread
def test_labels_that_break_the_rules():
    """Cost a number; where nothing keeps them, what is decoded is a label all the same."""
    head = random_field("rules")
    broken = np.zeros((B, T), int)  # B at each of five positions: four pairs and the end
    losses = value(head.loss(broken, SCORES))
    np.testing.assert_allclose(losses, 5e5, rtol=1e-3)
    head = ConditionalRandomField(allowed=(np.eye(2)[0], np.ones((2, 2)), np.eye(2)[1]))
    head.build((1, 1, 2))
    scores = np.array([[[-3.0, -5.0]]], "float32")  # 0 may not end, 1 may not begin
    assert value(head.viterbi(scores)).tolist() == [[0]]
    assert head.decode(scores)[0].tolist() == [0]
    # Numbers around 100,000 are 1 / 128 apart.
    np.testing.assert_allclose(value(head.marginals(scores)).sum(-1), 1, atol=0.02)


@pytest.mark.spread
def test_nothing_but_rules_between_two_labels():
    """Only one array, or list, of rules means the transitions."""
    rules = np.array([[True, False], [True, True]])
    for allowed in (rules, ([1, 1], rules.tolist(), [1, 1])):
        head = ConditionalRandomField(allowed=allowed)
        head.build((1, 3, 2))
        scores = np.array([[[1.0, 0.0], [0.0, 0.9], [0.0, 0.0]]], "float32")
        assert value(head.viterbi(scores)).tolist() == [[0, 0, 0]]  # 0 1 0 would score most
        again = ConditionalRandomField.from_config(head.get_config())
        np.testing.assert_array_equal(again.allowed[1], rules)


def test_a_long_text_stays_exact():
    """512 positions with large scores: in float32 as in float64."""
    rng = np.random.default_rng(9)
    scores = 30 * rng.normal(size=(1, 512, C)).astype("float32") + 100
    head = random_field("start_end")
    g, start, end = pair_scores(head)
    labels = rng.integers(0, C, (1, 512))
    alpha = start + scores[0, 0].astype("float64")
    for row in scores[0, 1:].astype("float64"):
        alpha = np.array([log_sum(alpha + g[:, j]) for j in range(C)]) + row
    gold = chain_scores(labels, scores[0], g, start, end)[0]
    expected = log_sum(alpha + end) - gold
    np.testing.assert_allclose(value(head.loss(labels, scores))[0], expected, rtol=1e-5)
    np.testing.assert_allclose(value(head.marginals(scores)).sum(-1), 1, atol=2e-3)


def test_marginals_are_not_the_softmax():
    head = random_field()
    everywhere = value(head.marginals(SCORES))
    np.testing.assert_allclose(everywhere.sum(-1), 1, atol=1e-5)
    softmax = value(ops.softmax(SCORES, axis=-1))
    assert np.abs(everywhere - softmax).max() > 0.1
    for weight in head.weights:
        weight.assign(np.zeros(weight.shape))
    np.testing.assert_allclose(value(head.marginals(SCORES)), softmax, atol=1e-5)

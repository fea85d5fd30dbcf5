"""Probabilities of entities: the sum over all tag sequences that contain them, by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.tagging import (
    ConditionalRandomField,
    MaximumEntropyMarkovModel,
    allowed_transitions,
    decode_tags,
    tag_names,
)
from bert4keras.tasks.tagging.chain_decoding import to_numpy
from bert4keras.tasks.tagging.marginals import EntityMarginals
from bert4keras.tasks.tagging.tag_chain import global_chain

pytestmark = pytest.mark.spread

LENGTH = 4


def made(head, tags, seed=0):
    """The head with random weights, and scores of one text."""
    rng = np.random.default_rng(seed)
    head.build((None, None, len(tags)))
    for weight in head.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return head, rng.normal(size=(LENGTH, len(tags))).astype("float32")


def enumerated(head, scores, tags):
    """Probability of every entity of a text, and of every tag sequence, by the training loss."""
    paths = np.array(list(itertools.product(range(len(tags)), repeat=len(scores))), "int32")
    if head is None:
        logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        losses = -logs[np.arange(len(scores)), paths].sum(1)
    else:
        many = np.broadcast_to(scores, (len(paths), *scores.shape))
        losses = ops.convert_to_numpy(head.loss(paths, many)).astype("float64")
    weights = np.exp(-losses)
    weights /= weights.sum()
    found = {}
    for path, weight in zip(paths, weights, strict=True):
        for entity in decode_tags([tags[i] for i in path]):
            found[entity] = found.get(entity, 0) + weight
    return found


def head_of(name, tags, scheme):
    allowed = allowed_transitions(tags, scheme)
    return {
        "softmax": lambda: None,
        "crf": lambda: ConditionalRandomField(allowed=allowed, use_start_end=True),
        "free crf": ConditionalRandomField,
        "memm": lambda: MaximumEntropyMarkovModel(allowed=allowed),
        "bi-memm": lambda: MaximumEntropyMarkovModel(bidirectional=True, allowed=allowed),
    }[name]()


def chain_of(scores, head):
    if head is None:
        return global_chain(scores)
    return head.tag_chain(scores, to_numpy(head.transition_matrix()).astype("float64"))


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("softmax", "BIO"),
        ("crf", "BIO"),
        ("crf", "BIOES"),
        ("crf", "IOB1"),
        ("free crf", "BIO"),
        ("memm", "BIO"),
        ("bi-memm", "BIO"),
    ],
)
def test_all_entities_of_a_text(name, scheme):
    tags = tag_names(["X", "Y"] if scheme != "BIOES" else ["X"], scheme)
    head = head_of(name, tags, scheme)
    scores = np.random.default_rng(1).normal(size=(LENGTH, len(tags))).astype("float32")
    if head is not None:
        head, scores = made(head, tags)
    wanted = enumerated(head, scores, tags)
    entities = sorted(wanted)
    chain = chain_of(scores, head)
    found = EntityMarginals(tags)(chain, entities)
    np.testing.assert_allclose(found, [wanted[e] for e in entities], atol=2e-6)
    # Negative control: the product of the tags' own probabilities is another number.
    if name == "crf":
        alone = ops.convert_to_numpy(head.marginals(scores[None]))[0]
        entity = max((e for e in entities if e.end - e.start > 1), key=wanted.get)
        first, inner = alone[entity.start], alone[entity.start + 1]
        begin, inside = tags.index(f"B-{entity.label}"), 2
        assert abs(first[begin] * inner[inside] - wanted[entity]) > 1e-3


def test_one_token_and_no_entity():
    tags = tag_names(["X"])
    chain = chain_of(np.array([[0.0, 1.0, -1.0]]), None)
    p = np.exp([0, 1, -1]) / np.exp([0, 1, -1]).sum()
    (found,) = EntityMarginals(tags)(chain, [(0, 1, "X")])
    assert found == pytest.approx(1 - p[0])
    assert EntityMarginals(tags)(chain, []) == []


def test_scores_of_any_size_and_length():
    """Neither rules that cannot be kept nor thousands of tokens nor huge scores give 0 / 0."""
    tags = tag_names([""], "BMES", outside=False)
    head, _ = made(ConditionalRandomField(allowed=allowed_transitions(tags, "BMES")), tags)
    scores = np.random.default_rng(2).normal(size=(5000, 4)) * 1e4
    scores[0, :] = [-1e8, 1e8, -1e8, -1e8]  # M cannot begin a text
    chain = chain_of(scores, head)
    entities = [(0, 2, ""), (2000, 2001, ""), (4990, 5000, "")]
    found = EntityMarginals(tags)(chain, entities)
    assert all(0 <= score <= 1 for score in found)

"""Scores and loss of the relation heads against numpy, and CasRel's two steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from keras import ops

from bert4keras.data import DataGenerator
from bert4keras.tasks.relations import CasRel, GPLinker
from bert4keras.tasks.relations.heads import _log_odds_of_power

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(4)
X = RNG.normal(size=(2, 5, 6)).astype("float32")
IDS = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 0, 0]], "int32")
SUBJECTS = np.array([[1, 3], [2, 2]], "int32")


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def noisy(head, *shapes):
    head.build([X.shape, *shapes])
    for weight in head.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return head


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -np.asarray(x, "float64")))


def test_casrel_by_the_formula():
    head = noisy(CasRel(3, pad_token_id=0), IDS.shape, SUBJECTS.shape)
    found = sigmoid(value(head([X, IDS, SUBJECTS])))
    x = X.astype("float64")
    kernel = {layer.name: value(layer.kernel) for layer in (head.subjects, head.objects)}
    bias = {layer.name: value(layer.bias) for layer in (head.subjects, head.objects)}
    for b, length in enumerate([5, 3]):
        condition = np.concatenate([x[b, SUBJECTS[b, 0]], x[b, SUBJECTS[b, 1]]])
        gain, shift = (condition @ value(dense.kernel) for dense in head.norm.modulations)
        for t in range(length):
            subjects = sigmoid(x[b, t] @ kernel["subjects"] + bias["subjects"]) ** 2
            normed = (x[b, t] - x[b, t].mean()) / np.sqrt(x[b, t].var() + head.norm.epsilon)
            normed = normed * (gain + value(head.norm.gamma)) + shift + value(head.norm.beta)
            objects = sigmoid(normed @ kernel["objects"] + bias["objects"]) ** 4
            np.testing.assert_allclose(found[b, t], [*subjects, *objects], atol=1e-4)
        assert (found[b, length:] == 0).all()
    other = sigmoid(value(head([X, IDS, SUBJECTS[::-1]])))
    np.testing.assert_allclose(other[..., :2], found[..., :2], atol=1e-6)
    assert np.abs(other - found)[..., 2:].max() > 0.01


@pytest.mark.parametrize("power", [2, 4])
def test_log_odds_of_a_power(power):
    """Exact where the probability is moderate, finite and right at the limits where it is not."""
    s = np.linspace(-4, 4, 9)
    p = sigmoid(s) ** power
    found = value(_log_odds_of_power(ops.convert_to_tensor(s.astype("float32")), power))
    np.testing.assert_allclose(found, np.log(p / (1 - p)), rtol=1e-4, atol=1e-5)
    far = value(_log_odds_of_power(ops.convert_to_tensor(np.array([-1e3, 1e3], "float32")), power))
    np.testing.assert_allclose(far, [-1e3 * power, 1e3 - math.log(power)], rtol=1e-5)


def test_casrel_loss_by_hand():
    """Two tokens that count: of chances 3/4 and 1/2, per start or end, per token.

    Row 0: subjects log(4/3) + log 2, objects log 4 + log 2, both halved, over 1 token (the other
    is padding); row 1: all ignored.
    """
    s = math.log(3)
    scores = np.array([[[s, 0, s, 0], [-3e4] * 4], [[s, 0, s, 0], [s] * 4]], "float32")
    labels = np.array([[[1, 1, 0, 0], [1, 1, 1, 1]], [[-1] * 4, [-1] * 4]])
    expected = (math.log(4 / 3) + math.log(2) + math.log(4) + math.log(2)) / 2
    np.testing.assert_allclose(value(CasRel.loss(labels, scores)), [expected, 0], rtol=1e-5)


def test_casrel_asks_for_the_objects_of_each_subject():
    """Scores by table: which subjects a text has, and which object belongs to which subject."""

    class Table(CasRel):
        asked = 0

        def __call__(self, inputs, mask=None, training=None):
            _, ids, subject = (value(part) for part in inputs)
            scores = np.full((*ids.shape, 4), -5.0, "float32")
            type(self).asked += len({(*i, *s) for i, s in zip(ids, subject, strict=True)})
            for row, (start, end) in enumerate(subject.tolist()):
                scores[row, 1, 0] = scores[row, 2, 1] = 5  # one subject, (1, 2)
                scores[row, 3, :2] = 5  # another, (3, 3)
                if (start, end) == (3, 3):
                    scores[row, 0, 2] = scores[row, 1, 3] = 5
            scores[ids == 0] = -3e4
            return ops.convert_to_tensor(scores)

    offsets = [[(0, 2), (3, 5), (6, 8), (9, 11), (0, 0)], [(0, 0), (1, 2), (3, 4)]]
    found = Table(1, pad_token_id=0).decode(X, IDS, offsets, ["r"])
    assert found == [[((9, 11), "r", (0, 5))], []]
    assert Table.asked > 2
    assert Table(1, pad_token_id=0).decode(X, IDS) == [[((3, 4), 0, (0, 2))], []]
    with pytest.raises(ValueError, match="offsets of 1 texts, but scores of 2"):
        Table(1, pad_token_id=0).decode(X, IDS, offsets[:1])


@pytest.mark.parametrize("efficient", [False, True])
def test_linker_is_three_pointers(efficient):
    head = noisy(GPLinker(2, 4, efficient=efficient, pad_token_id=0), IDS.shape)
    scores = value(head([X, IDS]))
    parts = [head.entities, head.head_links, head.tail_links]
    expected = np.concatenate([value(part([X, IDS])) for part in parts], axis=1)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert scores.shape == (2, 6, 5, 5)
    below = np.tri(5, k=-1, dtype=bool)
    assert (scores[0, :2][:, below] < -1e4).all()
    assert (scores[0, 2:] > -1e4).all()


def test_labels_of_tokens_by_relations_are_padded():
    """Labels (T, C) of texts of unequal length make a batch; what is padded is ignored."""
    rows = [(([1, 2, 3],), np.ones((3, 4), "int32")), (([1],), np.zeros((1, 4), "int32"))]
    batches = DataGenerator(rows, 2, encode=lambda row: row, shuffle=False, buckets=None)
    _, labels = batches[0]
    assert labels.shape == (2, 3, 4)
    assert (labels[1, 1:] == -1).all()

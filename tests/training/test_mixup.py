"""Mixup against the small model written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from bert4keras.training import Mixup, RegularizedModel
from helpers.regularizing import IDS, LABELS, numpy, small_model, step_of, tied_model

pytestmark = pytest.mark.spread


def shuffled_step(model, **options):
    """A step whose random order swaps no rows in pairs, so that shares can be told apart."""
    steps = (step_of(model, **options) for _ in range(100))
    orders = ((step, numpy(step.order)) for step in steps)
    return next(step for step, order in orders if (order[order] != np.arange(4)).any())


def by_hand(model, layer, share, order, labels=LABELS, weights=None):
    """Loss and answers, with rows mixed behind `layer`."""
    table, w1, b1, w2, b2 = model.get_weights()
    weights = np.ones(4) if weights is None else weights

    def mixed(x, name):
        return share * x + (1 - share) * x[order] if name == layer else x

    x = mixed(table[IDS], None)
    x = mixed(np.tanh(x @ w1 + b1), "Hidden")
    x = mixed(x.mean(1), "Pooled") @ w2 + b2
    p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    first = np.mean(-np.log(p[np.arange(4), labels]) * weights)
    second = np.mean(-np.log(p[np.arange(4), labels[order]]) * weights[order])
    return share * first + (1 - share) * second, p


@pytest.mark.parametrize("weights", [None, np.array([0.5, 2.0, 1.0, 0.0], "float32")])
@pytest.mark.parametrize("layer", [None, "Hidden", "Pooled"])
def test_loss_and_answers(layer, weights):
    model = RegularizedModel(small_model(), [Mixup(layer=layer)])
    step = shuffled_step(model, weights=weights)
    value, (outputs, _) = step.forward(step.embed())
    share, order = float(numpy(step.share)), numpy(step.order)
    assert sorted(order) == [0, 1, 2, 3]
    loss, answers = by_hand(model, layer, share, order, weights=weights)
    np.testing.assert_allclose(numpy(outputs), answers, atol=1e-6)
    np.testing.assert_allclose(numpy(value), loss, rtol=1e-5)
    other, _ = by_hand(model, layer, 1 - share, order, weights=weights)
    assert abs(other - loss) > 1e-4  # control: the shares swapped


@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0, 5.0])
def test_share_is_of_the_beta_distribution(alpha):
    """Moments, by those of Beta(alpha, alpha); each step has its own share and order."""
    model = RegularizedModel(small_model(), [Mixup(alpha)])
    draws = np.array([float(numpy(Mixup(alpha).draw(model.seed_generator))) for _ in range(1500)])
    assert ((draws >= 0) & (draws <= 1)).all()
    variance = 1 / (4 * (2 * alpha + 1))
    fourth = 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3))  # central
    error = 4 / len(draws) ** 0.5
    assert abs(draws.mean() - 0.5) < error * variance**0.5
    assert abs(np.mean((draws - 0.5) ** 2) - variance) < error * (fourth - variance**2) ** 0.5
    assert len(set(draws)) > 500


def test_a_tied_matrix_is_not_mixed_backwards():
    """Only what is looked up, where the embedding is the output matrix too."""
    model = RegularizedModel(tied_model(), [Mixup()])
    step = shuffled_step(model, y=IDS)
    outputs = numpy(step.forward(step.embed())[1][0])
    share, order = float(numpy(step.share)), numpy(step.order)
    table, w, b = model.get_weights()
    x = share * table[IDS] + (1 - share) * table[IDS][order]
    scores = np.tanh(x @ w + b) @ table.T
    expected = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_wrong_alpha():
    with pytest.raises(ValueError, match=r"Mixup\(alpha=0\): must be a number of at least 0.01"):
        Mixup(0)
    assert ops.is_tensor(
        Mixup(0.01).draw(RegularizedModel(small_model(), [Mixup()]).seed_generator)
    )

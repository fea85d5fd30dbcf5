"""Perplexity by hand, against Keras' cross entropy, and as a metric of `compile`."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras.tasks.generation import Perplexity, perplexity
from bert4keras.tasks.generation.perplexity import perplexity_of_losses

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(3, 4, 6), scale=2.0).astype("float32")
LABELS = np.array([[1, 5, -1, -100], [0, 2, 3, 4], [-1, -1, -1, -1]], "int32")
PROBAS = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
GOLD = np.log(np.take_along_axis(PROBAS, np.maximum(LABELS, 0)[..., None], -1)[..., 0])
EXPECTED = np.exp(-GOLD[LABELS >= 0].mean())


def value(metric) -> float:
    return float(keras.ops.convert_to_numpy(metric.result()))


def test_by_hand():
    assert perplexity(np.log([[0.25] * 3] * 2)) == pytest.approx(4)
    assert perplexity(np.log([0.5, 0.125])) == pytest.approx(4)
    assert perplexity([np.log([0.5]), np.log([0.25, 0.125])]) == pytest.approx(4)
    assert perplexity(np.log([0.5, 0.1]), weights=[1, 0]) == pytest.approx(2)
    assert perplexity(np.array([-1.0, -np.inf])) == np.inf
    assert perplexity(np.array([-1.0, -np.inf]), weights=[1, 0]) == pytest.approx(np.e)


def test_losses_of_batches_need_their_sizes():
    per_token = -GOLD[LABELS >= 0]
    batches = [per_token[:1], per_token[1:]]
    means, sizes = [b.mean() for b in batches], [len(b) for b in batches]
    assert perplexity_of_losses(means, sizes) == pytest.approx(EXPECTED)
    assert perplexity_of_losses(means) != pytest.approx(EXPECTED, rel=1e-2)


def test_it_is_the_exponential_of_keras_cross_entropy():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    labels = np.where(LABELS < 0, -1, LABELS)[:2]
    theirs = float(np.exp(keras.ops.convert_to_numpy(loss(labels, LOGITS[:2]))))
    assert perplexity(GOLD, LABELS >= 0) == pytest.approx(theirs, rel=1e-5)
    assert pytest.approx(theirs, rel=1e-5) == EXPECTED


@pytest.mark.parametrize(("from_logits", "scores"), [(True, LOGITS), (False, PROBAS)])
@pytest.mark.parametrize("shape", ["(B, T)", "(B, T, 1)", "(B,)"])
def test_the_metric_counts_tokens_over_batches(from_logits, scores, shape):
    metric = Perplexity(from_logits=from_logits)
    labels = LABELS if shape != "(B, T, 1)" else LABELS[..., None]
    if shape == "(B,)":
        labels, scores = LABELS.reshape(-1), scores.reshape(-1, 6)
    for batch in (slice(0, 1), slice(1, None)):
        metric.update_state(labels[batch], scores[batch])
    assert value(metric) == pytest.approx(EXPECTED, rel=1e-5)
    metric.reset_state()
    assert np.isnan(value(metric))


@pytest.mark.parametrize("weights", [[1.0, 3.0, 1.0], [[1, 0, 1, 1], [2, 2, 0, 1], [1, 1, 1, 1]]])
def test_the_metric_weighs(weights):
    weights = np.array(weights, "float32")
    full = np.broadcast_to(weights.reshape(3, -1), (3, 4))
    metric = Perplexity(from_logits=True)
    metric.update_state(LABELS, LOGITS, sample_weight=weights)
    assert value(metric) == pytest.approx(perplexity(GOLD, full * (LABELS >= 0)), rel=1e-5)
    assert value(metric) != pytest.approx(EXPECTED, rel=1e-3)


def test_what_is_ignored_may_be_anything():
    metric, logits = Perplexity(from_logits=True), LOGITS.copy()
    logits[LABELS < 0] = np.nan
    metric.update_state(LABELS, logits)
    assert value(metric) == pytest.approx(EXPECTED, rel=1e-5)


def test_in_compile_and_after_saving(tmp_path):
    model = keras.Sequential([keras.Input((4, 6)), keras.layers.Activation("linear")])
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
        metrics=[Perplexity(from_logits=True)],
    )
    labels = np.where(LABELS < 0, -1, LABELS)
    results = model.evaluate(LOGITS, labels, batch_size=2, verbose=0, return_dict=True)
    assert results["perplexity"] == pytest.approx(EXPECTED, rel=1e-5)
    again = Perplexity.from_config(Perplexity(from_logits=True, name="p").get_config())
    assert (again.from_logits, again.name) == (True, "p")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    results = loaded.evaluate(LOGITS, labels, batch_size=2, verbose=0, return_dict=True)
    assert results["perplexity"] == pytest.approx(EXPECTED, rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: perplexity([]), "at least one must be above 0"),
        (lambda: perplexity([0.0], [-1.0]), "must not be negative"),
        (lambda: perplexity([0.0], [0.0]), "at least one must be above 0"),
        (lambda: perplexity([0.0, 1.0], [1.0]), "2 values, but 1 weights"),
        (lambda: perplexity_of_losses([np.nan]), "a value is NaN"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()

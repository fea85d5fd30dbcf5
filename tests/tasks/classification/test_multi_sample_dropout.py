"""Multi-sample dropout: the mean of the losses under each mask, and a Dense in inference."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.classification import MultiSampleDropout

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(2)
X = RNG.normal(size=(6, 8)).astype("float32")
LABELS = np.array([0, 2, 1, 1, 0, 2])


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def losses(layer, smoothing: float) -> tuple[float, float, float]:
    """Loss as trained, mean loss under each mask, and loss of the mean scores only."""
    masked, drop = [], layer.dropout.call

    def recorded(x, training):
        masked.append(drop(x, training=training))
        return masked[-1]

    layer.dropout.call = recorded
    found = layer(X, training=True)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    target = np.eye(3)[LABELS]
    each = [float(value(loss(target, ops.softmax(layer.dense(x))))) for x in masked]
    assert len(each) == layer.samples == len(set(each))  # masks that differ
    plain = float(value(loss(target, found)))
    return plain + float(value(sum(layer.losses))), float(np.mean(each)), plain


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_mean_over_the_masks(smoothing):
    layer = MultiSampleDropout(3, samples=4, rate=0.5)
    layer.build(X.shape)
    layer.dense.kernel.assign(RNG.normal(size=(8, 3), scale=0.4))  # Keras clips probabilities
    found, expected, without = losses(layer, smoothing)
    assert found == pytest.approx(expected, rel=1e-5)
    assert without < expected - 0.01  # so the part that the layer adds is needed


@pytest.mark.parametrize("samples", [1, 5])
def test_inference_is_a_dense_layer(samples):
    layer = MultiSampleDropout(3, samples)
    found = value(layer(X))
    scores = X @ value(layer.dense.kernel) + value(layer.dense.bias)
    np.testing.assert_allclose(found, value(ops.softmax(scores)), atol=1e-6)
    assert not layer.losses
    raw = MultiSampleDropout(3, samples, activation=None)
    raw.build(X.shape)
    raw.dense.set_weights(layer.dense.get_weights())
    np.testing.assert_allclose(value(raw(X)), scores, atol=1e-6)


def test_one_sample_is_dropout_and_a_dense_layer():
    """To the bit, so that a default of one changes no score."""
    scores = []
    for make in (
        lambda: [MultiSampleDropout(3, samples=1, rate=0.4)],
        lambda: [keras.layers.Dropout(0.4), keras.layers.Dense(3, activation="softmax")],
    ):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((8,)), *make()])
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(X, LABELS, epochs=3, verbose=0)
        scores.append(model.predict(X, verbose=0))
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_it_trains_and_is_saved(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    layer = MultiSampleDropout(3, samples=3, rate=0.2)
    model = keras.Sequential([keras.Input((8,)), layer])
    model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    model.fit(X, LABELS, epochs=200, verbose=0)
    found = model.predict(X, verbose=0)
    assert (found.argmax(1) == LABELS).all()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), found)
    assert again.layers[-1].get_config() == layer.get_config()


def test_one_class_and_one_text():
    layer = MultiSampleDropout(1, samples=2, activation=None)
    assert value(layer(X[:1], training=True)).shape == (1, 1)
    assert abs(value(layer.losses[0])) < 1e-6


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"units": 0}])
def test_wrong_sizes_are_named(wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        MultiSampleDropout(**{"units": 2, **wrong})

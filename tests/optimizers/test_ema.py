"""Averaged weights in the place of the weights, and back."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras.optimizers import (
    EMA,
    ExtendedOptimizer,
    Lookahead,
    WithEMA,
    apply_ema_weights,
    ema_weights,
)
from bert4keras.training import Evaluator

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = X @ np.array([[1.0], [-2.0], [0.5]], "float32")
MOMENTUM = 0.5


def make_model(extensions=None) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.1)
    if extensions is not None:
        optimizer = ExtendedOptimizer(optimizer, extensions)
    model.compile(optimizer, "mse")
    return model


class Notes(keras.callbacks.Callback):
    """The weights after each epoch, as a callback sees them."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.get_weights())


def train(callbacks, epochs=3, extensions=None, **options):
    """One update an epoch."""
    model = make_model(extensions or [EMA(MOMENTUM)])
    history = model.fit(
        X, Y, batch_size=8, epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks, **options
    )
    return model, history.history


def averages(history: list) -> list:
    """Weighted means: the latest counts 1, the one before MOMENTUM, and so on."""
    found = []
    for t in range(1, len(history) + 1):
        shares = MOMENTUM ** np.arange(t - 1, -1, -1)
        shares = shares / shares.sum()
        found.append(
            [
                sum(s * w for s, w in zip(shares, ws, strict=True))
                for ws in zip(*history[:t], strict=True)
            ]
        )
    return found


def assert_weights(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def loss(weights) -> float:
    return float(np.mean((X @ weights[0] + weights[1] - Y) ** 2))


def test_callbacks_see_the_averages_and_training_goes_on_without(tmp_path):
    own, averaged = Notes(), Notes()
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5", save_weights_only=True
    )
    model, history = train([own, WithEMA([averaged, checkpoint])], validation_data=(X, Y))
    plain, plain_history = train([])
    assert_weights(model.get_weights(), plain.get_weights())
    np.testing.assert_allclose(history["loss"], plain_history["loss"], rtol=1e-6)
    expected = averages(own.seen)
    for found, weights in zip(averaged.seen, expected, strict=True):
        assert_weights(found, weights)
    np.testing.assert_allclose(history["val_loss"], [loss(w) for w in expected], rtol=1e-4)
    # Negative control: the weights themselves have other losses.
    assert abs(history["val_loss"][-1] - loss(own.seen[-1])) > 1e-2
    saved = make_model([EMA(MOMENTUM)])
    saved.optimizer.build(saved.trainable_variables)
    saved.load_weights(tmp_path / "2.weights.h5")
    assert_weights(saved.get_weights(), expected[1])


def test_evaluator_keeps_the_best_averages():
    own, scores = Notes(), iter([1.0, 3.0, 2.0])
    model, _ = train([own, WithEMA([Evaluator(lambda: next(scores), verbose=0)])])
    assert_weights(model.get_weights(), averages(own.seen)[1])


def test_context_puts_averages_in_and_back(tmp_path):
    own = Notes()
    model, _ = train([own], extensions=[Lookahead(2), EMA(MOMENTUM)])
    before = model.get_weights()
    with ema_weights(model) as same:
        assert same is model
        assert_weights(model.get_weights(), averages(own.seen)[-1])
        assert model.evaluate(X, Y, verbose=0) == pytest.approx(loss(model.get_weights()), rel=1e-4)
        model.save(tmp_path / "averaged.keras")
    assert_weights(model.get_weights(), before)
    again = keras.models.load_model(tmp_path / "averaged.keras")
    assert_weights(again.get_weights(), averages(own.seen)[-1])
    with pytest.raises(RuntimeError, match="inside"), ema_weights(model):
        raise RuntimeError("inside")
    assert_weights(model.get_weights(), before)


def test_for_good():
    own = Notes()
    model, _ = train([own])
    apply_ema_weights(model)
    assert_weights(model.get_weights(), averages(own.seen)[-1])


def test_between_two_batches_and_under_a_loss_scale():
    keras.config.set_dtype_policy("mixed_float16")

    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            with ema_weights(self.model):
                seen.append(self.model.get_weights())

    model, plain = (make_model([EMA(MOMENTUM)]) for _ in range(2))
    for each, callbacks in ((model, [Look()]), (plain, [])):
        # Small enough for the loss scale from the first batch on.
        each.fit(X / 50, Y / 50, batch_size=2, verbose=0, shuffle=False, callbacks=callbacks)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert_weights(model.get_weights(), plain.get_weights())
    assert len(seen) == 4
    assert np.abs(seen[-1][0] - model.get_weights()[0]).max() > 1e-6


def test_bad_use():
    with (
        pytest.raises(ValueError, match="is compiled with SGD, which has no averages"),
        ema_weights(make_model()),
    ):
        pass
    with pytest.raises(ValueError, match="no weights are averaged; add EMA"):
        apply_ema_weights(make_model([Lookahead()]))
    with pytest.raises(ValueError, match="no averages before the first update"):
        apply_ema_weights(make_model([EMA()]))
    model, _ = train([])
    with ema_weights(model), pytest.raises(ValueError, match="are in the model already"):
        apply_ema_weights(model)

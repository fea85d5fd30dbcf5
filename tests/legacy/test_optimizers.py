"""The names of bert4keras 0.11 say the same as the classes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras import optimizers
from bert4keras.optimizers import (
    EMA,
    Accumulate,
    Adam,
    ExtendedOptimizer,
    LayerAdaptation,
    LazyEmbeddings,
    LearningRateMultipliers,
    Lookahead,
    PiecewiseLinear,
    WeightDecay,
)
from helpers.updates import furthest, run, some_gradients


@pytest.mark.parametrize(
    ("name", "arguments", "extension"),
    [
        (
            "weight_decay",
            {"weight_decay_rate": 0.1, "exclude_from_weight_decay": ["Norm", "bias"]},
            WeightDecay(0.1, ["Norm", "bias"]),
        ),
        ("weight_decay", {}, WeightDecay(0.01, ())),
        (
            "layer_adaptation",
            {"exclude_from_layer_adaptation": ["Transformer-0-FeedForward/k"]},
            LayerAdaptation([r"Transformer\-0\-FeedForward/k"]),
        ),
        ("gradient_accumulation", {"grad_accum_steps": 2}, Accumulate(2)),
        ("lookahead", {"steps_per_slow_update": 2, "slow_step_size": 0.3}, Lookahead(2, 0.3)),
        (
            "lazy_optimization",
            {"include_in_lazy_optimization": ["Token"]},
            LazyEmbeddings(["Token"]),
        ),
        ("exponential_moving_average", {"ema_momentum": 0.9}, EMA(0.9)),
        (
            "parameter_wise_lr",
            {"paramwise_lr_schedule": {"Transformer": 0.5, "kernel": 0.5}},
            LearningRateMultipliers({"Transformer": 0.5, "kernel": 0.5}, multiply=True),
        ),
    ],
)
def test_translates(name, arguments, extension):
    extend = getattr(optimizers, f"extend_with_{name}")
    optimizer = extend(Adam, name="Mine")(learning_rate=0.1, **arguments)
    assert isinstance(optimizer, ExtendedOptimizer)
    assert isinstance(optimizer.inner_optimizer, Adam)
    assert optimizer.extensions == (extension,)
    expected = ExtendedOptimizer(Adam(0.1), [extension])
    assert furthest(run(optimizer, some_gradients(4)), run(expected, some_gradients(4))) == 0
    assert extend(Adam, name="Mine").__name__ == "Mine"
    assert getattr(optimizers, f"extend_with_{name}_v2") is extend
    assert extend.__doc__


def test_factors_of_all_that_match_multiply():
    plain, found = (
        run(optimizer, some_gradients(1))[0]
        for optimizer in (
            keras.optimizers.SGD(1.0),
            optimizers.extend_with_parameter_wise_lr(keras.optimizers.SGD)(
                learning_rate=1.0, paramwise_lr_schedule={"Transformer-0": 0.5, "kernel": 0.5}
            ),
        )
    )
    first = run(keras.optimizers.SGD(0.0), some_gradients(1))[0]
    for path, factor in {"Transformer-0-FeedForward/kernel": 0.25, "Classifier/bias": 1}.items():
        moved = found[path] - first[path]
        assert abs(moved - factor * (plain[path] - first[path])).max() < 1e-6


def test_chains_as_in_the_pretraining_script():
    """Schedules, decay, adaptation and accumulation, named in any order."""
    make = optimizers.extend_with_weight_decay(Adam, name="AdamW")
    make = optimizers.extend_with_layer_adaptation(make, name="LAMB")
    make = optimizers.extend_with_piecewise_linear_lr(make, name="LAMBLR")
    make = optimizers.extend_with_gradient_accumulation(make, name="LAMBLRG")
    optimizer = make(
        learning_rate=0.01,
        weight_decay_rate=0.1,
        exclude_from_weight_decay=["Norm", "bias"],
        exclude_from_layer_adaptation=["Norm", "bias"],
        bias_correction=False,
        lr_schedule={"2": 1, 4: 0.5},
        grad_accum_steps=2,
        name="optimizer",
    )
    assert optimizer.name == "optimizer"
    assert not optimizer.inner_optimizer.bias_correction
    assert [type(extension) for extension in optimizer.extensions] == [
        Accumulate,
        WeightDecay,
        LayerAdaptation,
    ]
    same = ExtendedOptimizer(
        optimizers.LAMB(
            PiecewiseLinear(0.01, {2: 1, 4: 0.5}),
            epsilon=1e-7,
            weight_decay_rate=0.1,
            bias_correction=False,
        ),
        [Accumulate(2)],
    )
    gradients = some_gradients(6, micro=2)
    assert furthest(run(optimizer, gradients), run(same, gradients)) < 1e-5
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))


def small_model(optimizer):
    """Return a compiled model of one weight, whose gradient is constant."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(optimizer, loss=lambda y_true, y_pred: y_pred)
    return model


ONE = np.ones((4, 1), "float32")


def test_averages_by_methods_of_the_optimizer():
    extend = optimizers.extend_with_weight_decay_v2  # the outer extension has the methods too
    factory = extend(optimizers.extend_with_exponential_moving_average(keras.optimizers.SGD))
    optimizer = factory(learning_rate=1.0, ema_momentum=0.5, weight_decay_rate=0.0)
    model, seen = small_model(optimizer), []
    start = float(model.get_weights()[0][0, 0])
    with pytest.raises(ValueError, match="no averages before the first update"):
        optimizer.apply_ema_weights()
    with pytest.raises(ValueError, match=r"reset_old_weights: call apply_ema_weights first\."):
        optimizer.reset_old_weights()

    class Evaluator(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            optimizer.apply_ema_weights()
            seen.append(float(model.predict(ONE, verbose=0)[0, 0]))
            optimizer.reset_old_weights()
            seen.append(float(model.predict(ONE, verbose=0)[0, 0]))

    model.fit(ONE, ONE, batch_size=2, epochs=2, verbose=0, callbacks=[Evaluator()])
    weights = start - np.arange(1, 5)  # after each of 4 updates
    halves = 0.5 ** np.arange(4, 0, -1)
    expected = [np.average(weights[:n], weights=halves[:n]) for n in (2, 4)]
    assert seen == pytest.approx([expected[0], weights[1], expected[1], weights[3]], rel=1e-5)
    optimizer.apply_ema_weights(bias_correction=False)
    stored = float(model.predict(ONE, verbose=0)[0, 0])
    assert stored == pytest.approx(expected[1] * (1 - 0.5**4), rel=1e-5)
    with pytest.raises(ValueError, match="the averages are in the model already"):
        optimizer.apply_ema_weights()
    optimizer.reset_old_weights()
    restored = type(optimizer).from_config(optimizer.get_config())
    assert isinstance(restored, type(optimizer))
    assert restored.extensions == optimizer.extensions


@pytest.mark.spread
def test_averages_need_their_extension():
    optimizer = optimizers.extend_with_weight_decay(keras.optimizers.SGD)()
    small_model(optimizer).fit(ONE, ONE, verbose=0)
    with pytest.raises(ValueError, match="no weights are averaged"):
        optimizer.apply_ema_weights()


@pytest.mark.spread
def test_lion():
    for name in ("Lion", "LionV2"):
        options = getattr(optimizers, name)().get_config()
        assert options["learning_rate"] == pytest.approx(3e-4)
        assert (options["beta_1"], options["beta_2"]) == (0.95, 0.98)

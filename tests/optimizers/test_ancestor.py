"""The names of bert4keras 0.11 say the same as the classes."""

from __future__ import annotations

import keras
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

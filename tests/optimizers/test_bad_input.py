"""Each mistake has one clear error."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.optimizers import (
    EMA,
    LAMB,
    Accumulate,
    Clip,
    ExtendedOptimizer,
    FunctionTransform,
    GradientTransform,
    LayerAdaptation,
    LazyEmbeddings,
    LearningRateMultipliers,
    Lookahead,
    Noise,
    Normalize,
    WeightDecay,
    extend_with_lookahead,
)
from helpers.updates import make_variables, run, some_gradients

pytestmark = pytest.mark.spread

Adam, SGD = keras.optimizers.Adam, keras.optimizers.SGD


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Accumulate(1), "steps must be an integer of 2 or more: 1"),
        (lambda: Accumulate(2.0), "steps must be an integer of 2 or more: 2.0"),
        (lambda: Lookahead(0), "Lookahead: steps must be an integer of 1 or more: 0"),
        (lambda: Lookahead(5, 0.0), r"step_size must be in \(0, 1\], not 0.0"),
        (lambda: Lookahead(5, 1.5), r"step_size must be in \(0, 1\], not 1.5"),
        (lambda: EMA(1.0), r"momentum must be in \[0, 1\), not 1.0"),
        (lambda: EMA(-0.1), "momentum must be in"),
        (lambda: Clip(0.0), "Clip: norm must be above 0, not 0.0"),
        (lambda: Noise(-1.0), "Noise: stddev must be 0 or more, not -1.0"),
        (lambda: Noise(decay=-1.0), "Noise: decay must be 0 or more, not -1.0"),
        (lambda: WeightDecay(-0.01), "WeightDecay: rate must be 0 or more, not -0.01"),
        (
            lambda: LearningRateMultipliers({"a": -2.0}),
            "the factor of 'a' must be 0 or more, not -2.0",
        ),
        (
            lambda: LearningRateMultipliers({"a": float("nan")}),
            "the factor of 'a' must be 0 or more, not nan",
        ),
        (lambda: LearningRateMultipliers({}), "factors is empty"),
        (lambda: LazyEmbeddings([]), "paths is empty"),
        (lambda: LazyEmbeddings("a", "freeze"), "moments must be 'decay' or 'keep', not 'freeze'"),
        (lambda: LAMB(weight_decay_rate=-1.0), "weight_decay_rate must be 0 or more, not -1.0"),
        (lambda: LAMB(weight_decay=0.1), "LAMB has no weight_decay"),
        (
            lambda: LAMB().exclude_from_weight_decay(var_names=["bias"]),
            "use the argument LAMB.*patterns",
        ),
    ],
)
def test_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ExtendedOptimizer(Adam(), [Lookahead(5), Lookahead(6)]),
            "has Lookahead twice: Lookahead",
        ),
        (lambda: ExtendedOptimizer(ExtendedOptimizer(Adam(), [EMA()]), [EMA()]), "has EMA twice"),
        (lambda: extend_with_lookahead(extend_with_lookahead(Adam))(), "has Lookahead twice"),
        (lambda: ExtendedOptimizer(Adam(), [Clip(1.0), Normalize(), Clip(1.0)]), "has Clip twice"),
        (
            lambda: ExtendedOptimizer(Adam(gradient_accumulation_steps=2)),
            "Adam has gradient_accumulation_",
        ),
        (
            lambda: ExtendedOptimizer(Adam(use_ema=True)),
            r"Adam has use_ema; use EMA\(momentum\) instead",
        ),
        (
            lambda: ExtendedOptimizer(Adam(loss_scale_factor=2.0)),
            "loss_scale_factor; use a LossScaleOpt",
        ),
        (
            lambda: ExtendedOptimizer(keras.optimizers.LossScaleOptimizer(Adam())),
            "LossScaleOptimizer cannot be the inner optimizer",
        ),
        (
            lambda: ExtendedOptimizer(keras.optimizers.AdamW(), [WeightDecay()]),
            r"AdamW decays weights by itself \(0.004\)",
        ),
        (lambda: ExtendedOptimizer(LAMB(), [WeightDecay()]), "LAMB decays weights by itself"),
    ],
)
def test_what_would_be_done_twice(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_different_transforms_may_be_of_one_class():
    ExtendedOptimizer(Adam(), [Clip(1.0, paths="a"), Noise(), Clip(2.0, paths="b"), Noise(0.5)])


def test_inner_optimizers_that_cannot_be_extended():
    if hasattr(keras.optimizers, "ScheduleFreeAdamW"):
        inner = keras.optimizers.ScheduleFreeAdamW()
        with pytest.raises(ValueError, match="derives its state from the weights, which Lookahead"):
            ExtendedOptimizer(inner, [Lookahead()])
        ExtendedOptimizer(inner, [Accumulate(2), Clip(1.0)])
    if hasattr(keras.optimizers, "MultiOptimizer"):
        multi = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(Adam()))
        with pytest.raises(ValueError, match="several learning rates, but WeightDecay"):
            ExtendedOptimizer(multi, [WeightDecay()])


@pytest.mark.parametrize("extension", [Lookahead, "lookahead", 3])
def test_what_is_no_extension(extension):
    with pytest.raises(TypeError, match="is not an extension: give objects such as"):
        ExtendedOptimizer(Adam(), [extension])


@pytest.mark.parametrize(
    ("extension", "message"),
    [
        (
            LearningRateMultipliers({"nowhere": 2.0}),
            "LearningRateMultipliers: 'nowhere' matches no variable",
        ),
        (
            LearningRateMultipliers({"kernel": 2.0, "Trans": 1.0}),
            "'Transformer-0-FeedForward/kernel' is in the",
        ),
        (
            LearningRateMultipliers({"[": 2.0}),
            r"LearningRateMultipliers: '\[' is not a regular expression",
        ),
        (WeightDecay(exclude=["nowhere"]), "WeightDecay, exclude: 'nowhere' matches no variable"),
        (WeightDecay(include="kernel"), "no group of .* has Embedding-Token/embeddings"),
        (WeightDecay(include="."), "Norm/gamma' is in the groups .'include', 'exclude'"),
        (LayerAdaptation("nowhere"), "LayerAdaptation, exclude: 'nowhere' matches"),
        (LazyEmbeddings("nowhere"), "LazyEmbeddings: 'nowhere' matches no variable"),
        (LazyEmbeddings("Classifier"), r"'Classifier/bias' has no rows, its shape is \(2,\)"),
        (Clip(paths="nowhere"), "Clip: 'nowhere' matches no variable"),
        (Noise(paths=["Norm", "nowhere"]), "Noise: 'nowhere' matches no variable"),
    ],
)
def test_patterns(extension, message):
    with pytest.raises(ValueError, match=message):
        ExtendedOptimizer(Adam(), [extension]).build(make_variables())


def test_patterns_of_lamb():
    for option in ("exclude_from_weight_decay", "exclude_from_layer_adaptation"):
        with pytest.raises(ValueError, match=f"LAMB, {option}: 'nowhere' matches no"):
            LAMB(**{option: ["nowhere"]}).build(make_variables())


def test_moments_without_rows():
    optimizer = ExtendedOptimizer(
        keras.optimizers.Adafactor(), [LazyEmbeddings("^Emb", moments="keep")]
    )
    with pytest.raises(ValueError, match="which moments of Adafactor belong to which rows"):
        optimizer.build(make_variables())

    class OneRate(keras.optimizers.SGD):
        def build(self, variables):
            super().build(variables)
            for variable in variables:
                name = variable.path.replace("/", "_") + "_rate"
                self.add_variable((1,), name=name)

    optimizer = ExtendedOptimizer(OneRate(), [LazyEmbeddings("^Emb", moments="keep")])
    with pytest.raises(ValueError, match=r"embeddings_rate' has the shape \(1,\), so no rows"):
        optimizer.build(make_variables())


def test_functions():
    with pytest.raises(TypeError, match="FunctionTransform: 3 is not a function"):
        FunctionTransform(3)
    with pytest.raises(
        ValueError,
        match=r"returned a gradient \(\) for 'Embedding-Token.*must have the shape \(5, 3\)",
    ):
        run(
            ExtendedOptimizer(SGD(), [lambda path, g: ops.sum(g)]),
            some_gradients(1),
            compiled=False,
        )
    with pytest.raises(ValueError, match=r"cannot be saved; register a named function"):
        ExtendedOptimizer(SGD(), [lambda path, g: g]).get_config()
    with pytest.raises(NotImplementedError):
        run(ExtendedOptimizer(SGD(), [GradientTransform()]), some_gradients(1), compiled=False)


def test_variables_and_gradients():
    optimizer, variables = ExtendedOptimizer(SGD()), make_variables()
    with pytest.raises(ValueError, match=r"not built; call build\(variables\)"):
        optimizer.apply([ops.ones(2)])
    optimizer.build(variables)
    with pytest.raises(ValueError, match="built for other variables"):
        optimizer.apply([ops.ones(2)], [keras.Variable(np.ones(2))])
    with pytest.raises(ValueError, match="1 gradients for 4 variables"):
        optimizer.apply([ops.ones(2)])
    with pytest.raises(ValueError, match="1 arrays for"):
        optimizer.set_weights([np.ones(2)])


def saved(optimizer, path, units=1):
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(units)])
    model.compile(optimizer, "mse")
    optimizer.build(model.trainable_variables)
    model.save_weights(path)
    return model


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            lambda: Adam(),
            lambda: ExtendedOptimizer(Adam(), [EMA()]),
            "saved optimizer is another class",
        ),
        (
            lambda: ExtendedOptimizer(Adam(), [EMA()]),
            lambda: ExtendedOptimizer(SGD(), [EMA()]),
            r"is Adam with \[EMA\], this one SGD with \[EMA\]",
        ),
        (
            lambda: ExtendedOptimizer(Adam(), [Lookahead()]),
            lambda: ExtendedOptimizer(Adam(), [EMA()]),
            r"is Adam with \[Lookahead\], this one Adam with \[EMA\]",
        ),
        (
            lambda: ExtendedOptimizer(Adam(), [Accumulate(2)]),
            lambda: ExtendedOptimizer(Adam(), [Accumulate(3)]),
            r"with \[Accumulate\(steps=2\)\], this one .*cannot be resumed",
        ),
    ],
)
def test_resuming_with_another_optimizer(before, after, message, tmp_path):
    path = tmp_path / "state.weights.h5"
    saved(before(), path)
    model = saved(after(), tmp_path / "other.weights.h5")
    with pytest.raises(ValueError, match=message):
        model.load_weights(path)
    saved(before(), tmp_path / "same.weights.h5").load_weights(path)


def test_state_of_other_variables():
    optimizer, other, store = (
        ExtendedOptimizer(Adam(), [EMA()]),
        ExtendedOptimizer(Adam(), [EMA()]),
        {},
    )
    optimizer.build(make_variables())
    optimizer.save_own_variables(store)
    other.build(make_variables()[:2])
    with pytest.raises(ValueError, match="of other variables, this one"):
        other.load_own_variables(store)


def test_state_where_there_is_none_is_a_warning(tmp_path):
    """As in Keras: a file without optimizer, or an optimizer that is not built."""
    optimizer = ExtendedOptimizer(Adam(), [EMA()])
    optimizer.build(make_variables())
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        optimizer.load_own_variables({})

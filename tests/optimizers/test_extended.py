"""`ExtendedOptimizer` in `compile` and `fit`: order, mixed precision, files, other optimizers."""

from __future__ import annotations

import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.optimizers import (
    EMA,
    LAMB,
    Accumulate,
    Adam,
    Clip,
    ExtendedOptimizer,
    FunctionTransform,
    LazyEmbeddings,
    LearningRateMultipliers,
    Lookahead,
    Noise,
    PiecewiseLinear,
    WeightDecay,
    warm_up,
)
from helpers.updates import (
    MODES,
    apply_function,
    furthest,
    make_variables,
    run,
    some_gradients,
    values,
)

pytestmark = pytest.mark.spread

IDS = np.array([[1, 2, 3], [2, 2, 4], [1, 4, 4], [3, 1, 2]] * 2, "int32")
LABELS = np.array([0, 1, 1, 0] * 2)


@keras.saving.register_keras_serializable(package="tests")
def halve(path, gradient):
    return gradient / 2


def every_extension() -> list:
    return [
        EMA(0.9),
        Lookahead(2),
        Accumulate(2),
        Clip(1.0),
        Noise(0.01),
        FunctionTransform(halve, paths="Classifier"),
        WeightDecay(0.01),
        LearningRateMultipliers({"^Embedding": 0.5}),
        LazyEmbeddings("^Embedding", moments="keep"),
    ]


def make_model(optimizer, **options) -> keras.Model:
    keras.utils.set_random_seed(0)
    ids = keras.Input((3,), dtype="int32")
    x = keras.layers.Embedding(6, 4, name="Embedding-Token")(ids)
    x = keras.layers.Flatten()(x)
    model = keras.Model(ids, keras.layers.Dense(2, name="Classifier", dtype="float32")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **options)
    return model


def fit(model, epochs=1, **options):
    """Two micro-batches of 4 an epoch."""
    options = {"batch_size": 4, "shuffle": False, "verbose": 0, **options}
    return model.fit(IDS, LABELS, epochs=epochs, **options)


def arrays(variables) -> list[np.ndarray]:
    return [ops.convert_to_numpy(variable) for variable in variables]


def assert_same(found, expected, **tolerance):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 0, "atol": 0, **tolerance})


def test_no_extension_is_the_inner_optimizer():
    found, expected = (
        run(make(), some_gradients(5))
        for make in (
            lambda: ExtendedOptimizer(keras.optimizers.Adam(0.1)),
            lambda: keras.optimizers.Adam(0.1),
        )
    )
    assert furthest(found, expected) == 0


def test_order_of_the_list_does_not_matter_but_of_transforms():
    def trained(extensions):
        optimizer = ExtendedOptimizer(keras.optimizers.SGD(0.5), extensions)
        return run(optimizer, some_gradients(5))[-1:]

    fixed = [
        WeightDecay(0.1),
        LearningRateMultipliers({"^Emb": 0.5}),
        Lookahead(2),
        LazyEmbeddings("^Emb"),
    ]
    orders = list(itertools.permutations(fixed))[7::8]
    expected = trained(fixed)
    assert all(furthest(trained(order), expected) == 0 for order in orders)
    clip, large = Clip(0.5), FunctionTransform(lambda path, gradient: 10 * gradient)
    assert furthest(trained([clip, large]), trained([large, clip])) > 0.1


def test_transforms_only_of_some_paths():
    before, after = (
        run(ExtendedOptimizer(keras.optimizers.SGD(1.0), extensions), some_gradients(1))[0]
        for extensions in ([], [Clip(0.1, paths="^Classifier")])
    )
    changed = {path for path in before if (before[path] != after[path]).any()}
    assert changed == {"Classifier/bias"}


def test_noise_has_its_deviation_and_comes_back_with_the_seed():
    def noise(updates=2, **options):
        shape = {"Layer-0/kernel": np.zeros((60, 50), "float32")}
        optimizer = ExtendedOptimizer(keras.optimizers.SGD(1.0), [Noise(0.1, **options)])
        history = run(optimizer, [shape] * updates, weights=shape)
        first, second = (history[i]["Layer-0/kernel"] for i in (0, 1))
        return first, second - first

    first, second = noise()
    assert first.std() == pytest.approx(0.1, rel=0.05)
    assert second.std() == pytest.approx(0.1 / 2 ** (0.55 / 2), rel=0.05)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    assert (noise()[1] == second).all()
    assert (noise(seed=1)[1] != second).any()


@pytest.mark.parametrize("compiled", MODES)
def test_a_model_learns_and_a_file_holds_everything(compiled, tmp_path):
    """All extensions at once, twice saved and read in the middle of an accumulation."""
    optimizer = ExtendedOptimizer(Adam(PiecewiseLinear(0.05, {2: 1.0, 50: 0.1})), every_extension())
    model = make_model(optimizer, jit_compile=compiled)
    losses = fit(model, epochs=12).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    model.train_on_batch(IDS[:4], LABELS[:4])
    assert int(optimizer.updates) == int(optimizer.iterations) == 12

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert again.optimizer.extensions == optimizer.extensions
    assert_same(arrays(again.optimizer.variables), arrays(optimizer.variables))
    for each in (model, again):
        each.train_on_batch(IDS[4:], LABELS[4:])
    assert_same(arrays(again.weights), arrays(model.weights), atol=1e-6)
    assert_same(arrays(again.optimizer.variables), arrays(optimizer.variables), atol=1e-6)


FRESH = """
import sys, keras, numpy as np
import bert4keras.optimizers
model = keras.models.load_model(sys.argv[1] + "/model.keras")
with np.load(sys.argv[1] + "/batch.npz") as batch:
    model.train_on_batch(batch["ids"], batch["labels"])
weights = [*model.weights, *model.optimizer.variables]
np.savez(sys.argv[1] + "/trained.npz", *map(keras.ops.convert_to_numpy, weights))
"""


def test_a_fresh_process_goes_on(tmp_path):
    model = make_model(ExtendedOptimizer(LAMB(warm_up(0.1, 1, 9)), [Lookahead(2), EMA(0.5)]))
    fit(model)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "batch.npz", ids=IDS, labels=LABELS)
    command = [sys.executable, "-W", "ignore", "-c", FRESH, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    model.train_on_batch(IDS, LABELS)
    with np.load(tmp_path / "trained.npz") as found:
        expected = arrays([*model.weights, *model.optimizer.variables])
        assert_same([found[f"arr_{i}"] for i in range(len(found))], expected, atol=1e-6)


def test_resumed_by_backup_as_if_never_stopped(tmp_path):
    def make():
        return make_model(ExtendedOptimizer(keras.optimizers.Adam(0.05), every_extension()))

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise InterruptedError

    whole = make()
    fit(whole, epochs=5)
    stopped = [keras.callbacks.BackupAndRestore(tmp_path), Stop()]
    with pytest.raises(InterruptedError):
        fit(make(), epochs=5, callbacks=stopped)
    resumed = make()
    fit(resumed, epochs=5, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])
    assert int(resumed.optimizer.updates) == 5
    assert_same(arrays(resumed.weights), arrays(whole.weights), atol=1e-6)
    assert_same(arrays(resumed.optimizer.variables), arrays(whole.optimizer.variables), atol=1e-6)
    fresh = make()
    fit(fresh, epochs=2)  # without the state it would have ended elsewhere
    assert any(
        np.abs(a - b).max() > 1e-3
        for a, b in zip(arrays(fresh.weights), arrays(whole.weights), strict=True)
    )


def test_mixed_precision_scales_the_loss_and_skips_overflows():
    keras.config.set_dtype_policy("mixed_float16")
    optimizer = ExtendedOptimizer(keras.optimizers.SGD(0.1), [Accumulate(2), Clip(1.0), EMA(0.9)])
    model = make_model(optimizer)
    scaled = model.optimizer
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer)
    fit(model, epochs=3)
    assert int(optimizer.updates) == int(scaled.iterations) == 3
    found = values(model.trainable_variables)

    keras.config.set_dtype_policy("float32")
    plain = make_model(
        ExtendedOptimizer(keras.optimizers.SGD(0.1), [Accumulate(2), Clip(1.0), EMA(0.9)])
    )
    fit(plain, epochs=3)
    assert furthest([found], [values(plain.trainable_variables)]) < 5e-3

    # A micro-batch whose gradient overflows counts as never seen.
    variables, before = model.trainable_variables, int(optimizer.updates)
    bad = [np.full(v.shape, np.inf, "float32") for v in variables]
    good = [np.ones(v.shape, "float32") for v in variables]
    apply = apply_function(scaled, variables, MODES[-1])
    for gradients, updates in ((good, 0), (bad, 0), (good, 1)):
        apply(gradients)
        assert int(optimizer.updates) == before + updates
    assert all(np.isfinite(array).all() for array in arrays(optimizer.variables))


def test_state_of_half_precision_variables_is_float32():
    optimizer = ExtendedOptimizer(keras.optimizers.SGD(0.1), [EMA(0.999), Accumulate(2)])
    variables = make_variables(dtype="bfloat16")
    optimizer.build(variables)
    added = [v for v in optimizer.variables if v.path.startswith(optimizer.name) and len(v.shape)]
    assert len(added) == 2 * len(variables)
    assert {v.dtype for v in added} == {"float32"}
    gradients = [ops.ones(v.shape, "bfloat16") for v in variables]
    for _ in range(2):
        optimizer.apply(gradients, variables)
    assert {v.dtype for v in variables} == {"bfloat16"}


def test_other_optimizers_inside():
    multi = getattr(keras.optimizers, "MultiOptimizer", None)
    inner = [keras.optimizers.Lion(0.01), keras.optimizers.Adafactor(0.01), "sgd"]
    if multi:
        sgd = keras.optimizers.SGD(0.1)
        inner.append(multi(keras.optimizers.OptimizerMap(sgd, {"Emb.*": keras.optimizers.Adam()})))
    for optimizer in inner:
        extended = ExtendedOptimizer(
            optimizer, [Accumulate(2), LearningRateMultipliers({"^Emb": 0.0}), Lookahead(2)]
        )
        history = run(extended, some_gradients(3, micro=2))
        assert int(extended.iterations) == 3
        still = "Embedding-Token/embeddings"
        assert (history[-1][still] == history[0][still]).all()
        moved = "Classifier/bias"
        assert (history[-1][moved] != history[0][moved]).all()


def test_extended_twice_is_one():
    inner = ExtendedOptimizer(keras.optimizers.Adam(0.1), [Lookahead(3)])
    outer = ExtendedOptimizer(inner, [Accumulate(2), Clip(1.0)])
    assert outer.inner_optimizer is inner.inner_optimizer
    assert outer.extensions == (Accumulate(2), Clip(1.0), Lookahead(3))


def test_learning_rate_can_be_set():
    optimizer = ExtendedOptimizer(keras.optimizers.SGD(0.5), [Lookahead()])
    callback = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    fit(make_model(optimizer), callbacks=[callback])
    assert float(ops.convert_to_numpy(optimizer.inner_optimizer.learning_rate)) == 0.25


@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")
def test_variables_without_gradient_stay():
    optimizer = ExtendedOptimizer(
        keras.optimizers.SGD(0.5), [WeightDecay(0.1), Accumulate(2), Lookahead(1), Clip()]
    )
    variables = make_variables()
    before = values(variables)
    for _ in range(2):
        optimizer.apply([None, *(ops.ones(v.shape) for v in variables[1:])], variables)
    moved = {p for p, value in values(variables).items() if (value != before[p]).any()}
    assert moved == {v.path for v in variables[1:]}


def test_a_gradient_that_is_the_new_value_is_assigned():
    """As Keras' float8 layers have for their scales."""
    optimizer = ExtendedOptimizer(
        keras.optimizers.SGD(0.5), [WeightDecay(0.1), Accumulate(2), Clip(0.1), Lookahead(1), EMA()]
    )
    variables = make_variables()
    variables[2].overwrite_with_gradient = True
    for _ in range(2):
        optimizer.apply([ops.full(v.shape, 7.0) for v in variables], variables)
    np.testing.assert_array_equal(ops.convert_to_numpy(variables[2]), np.full(3, 7.0))
    assert len(optimizer.average_values()) == 3


def test_constraints_hold_behind_extensions():
    optimizer = ExtendedOptimizer(
        keras.optimizers.SGD(1.0), [Lookahead(1), LearningRateMultipliers({"^Emb": 0.5})]
    )
    variables = make_variables()
    variables[0].constraint = keras.constraints.UnitNorm(axis=1)
    optimizer.apply([ops.ones(v.shape) for v in variables], variables)
    lengths = np.linalg.norm(ops.convert_to_numpy(variables[0]), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_some_of_the_variables_can_be_updated():
    optimizer = ExtendedOptimizer(
        keras.optimizers.SGD(0.5), [Clip(1.0), LearningRateMultipliers({"^Emb": 0.5})]
    )
    variables = make_variables()
    optimizer.build(variables)
    before = values(variables)
    optimizer.apply_gradients([(ops.ones(variables[3].shape), variables[3])])
    optimizer.apply([])
    moved = {p for p, value in values(variables).items() if (value != before[p]).any()}
    assert moved == {variables[3].path}


def test_set_weights_takes_all_variables():
    optimizer, other = (ExtendedOptimizer("adam", [EMA()]) for _ in range(2))
    for each in (optimizer, other):
        each.build(make_variables())
    new = [array + 1 for array in arrays(optimizer.variables)]
    other.set_weights(new)
    assert_same(arrays(other.variables), new)

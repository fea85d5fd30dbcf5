"""Every optimizer and extension against its formula in float64, over 20 updates.

Without and with an accumulation of 3, which must update with the mean of 3 gradients and must not
change the weights in between; step by step and compiled.
"""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest

from bert4keras.optimizers import (
    EMA,
    LAMB,
    Accumulate,
    Adam,
    Clip,
    ExtendedOptimizer,
    FunctionTransform,
    LayerAdaptation,
    LazyEmbeddings,
    LearningRateMultipliers,
    Lookahead,
    Normalize,
    PiecewiseLinear,
    WeightDecay,
)
from helpers import numpy_optimizers as formulas
from helpers.updates import MODES, first_weights, furthest, means, run, some_gradients

pytestmark = pytest.mark.spread

RATE, WEIGHTS = 0.02, first_weights()
EMBEDDING = "Embedding-Token/embeddings"
NORM_OR_BIAS = re.compile("Norm|bias")
POINTS = {3: 1.0, 8: 0.25, 12: 0.5}


def keras_adam(**options):
    return keras.optimizers.Adam(RATE, **options)


def schedule(t):
    """The factor before update t = 0, 1, ...: from 0, through the points."""
    return np.interp(t, [0, *POINTS], [0, *POINTS.values()])


def decay(path):
    return 0 if NORM_OR_BIAS.search(path) else 0.1


def adapted(path):
    return not NORM_OR_BIAS.search(path)


def factor(path):
    return {"Embedding": 0.0, "Transformer": 0.3}.get(path.split("-")[0], 1.0)


def transformed(change):
    """Adam on gradients changed by `change(path, g)`."""
    return lambda w, gs: formulas.adam(
        w, [{p: change(p, g) for p, g in now.items()} for now in gs], RATE
    )


def clip(path, g):
    return g / max(1, np.linalg.norm(g) / 0.7)


def normalize(path, g):
    return g / np.linalg.norm(g)


def signs(path, g):
    return -g if "Classifier" in path else g


def everything(weights, gradients, from_zero=False):
    """Clip, decay, factors, lazy rows and Lookahead at once; `from_zero` is wrong on purpose."""
    adam, slow = formulas.Adam(), dict.fromkeys(weights, 0.0) if from_zero else dict(weights)

    def update(t, path, w, g):
        step = adam.step(path, clip(path, g), t) + decay(path) * w
        new = w - RATE * schedule(t - 1) * (0.5 if "Embedding" in path else 1) * step
        if path == EMBEDDING:
            still = (g == 0).all(axis=1)
            new[still] = w[still]
        if t % 4 == 0:
            new = slow[path] = slow[path] + 0.3 * (new - slow[path])
        return new

    return formulas.over_updates(weights, gradients, update)


# Each case: the optimizer (or the extensions of Adam), its formula, and a formula that must fail.
def adam(**options):
    return lambda w, g: formulas.adam(w, g, RATE, **options)


def lamb(**options):
    defaults = {"decay": decay, "adapted": adapted}
    return lambda w, g: formulas.lamb(w, g, RATE, **{**defaults, **options})


def lookahead(**options):
    return lambda w, g: formulas.lookahead(w, g, RATE, 4, 0.3, **options)


def lazy(keep):
    return lambda w, g: formulas.lazy(w, g, RATE, keep, {EMBEDDING})


CASES = {
    "adam": (lambda: Adam(RATE), [], adam(own=True), adam(corrected=False)),
    "adam_uncorrected": (
        lambda: Adam(RATE, bias_correction=False, weight_decay=0.1),
        [],
        adam(corrected=False, decay=lambda path: 0.1, own=True),
        adam(decay=lambda path: 0.1),
    ),
    "lamb": (lambda: LAMB(RATE, weight_decay_rate=0.1), [], lamb(), lamb(decay_in_ratio=False)),
    "lamb_uncorrected": (
        lambda: LAMB(
            RATE,
            weight_decay_rate=0.1,
            exclude_from_weight_decay=(),
            exclude_from_layer_adaptation="^Embedding-",
            bias_correction=False,
        ),
        [],
        lamb(corrected=False, decay=lambda p: 0.1, adapted=lambda p: p != EMBEDDING),
        lamb(decay=lambda p: 0.1, adapted=lambda p: p != EMBEDDING),
    ),
    "schedule": (
        lambda: Adam(PiecewiseLinear(RATE, POINTS)),
        [],
        adam(schedule=schedule),
        adam(schedule=lambda t: schedule(t + 1)),
    ),
    "weight_decay": (keras_adam, [WeightDecay(0.1)], adam(decay=decay), adam(decay=lambda p: 0.1)),
    "layer_adaptation": (
        keras_adam,
        [LayerAdaptation(), WeightDecay(0.1)],
        lambda w, g: formulas.layer_adaptation(w, g, RATE, decay, adapted),
        adam(decay=decay),
    ),
    "rates": (
        keras_adam,
        [LearningRateMultipliers({"^Embedding": 0.0, "^Transformer": 0.3})],
        adam(factors=factor),
        adam(),
    ),
    "lazy": (keras_adam, [LazyEmbeddings("^Embedding")], lazy(False), lazy(True)),
    "sparse": (keras_adam, [LazyEmbeddings("^Embedding", moments="keep")], lazy(True), lazy(False)),
    "lookahead": (keras_adam, [Lookahead(4, 0.3)], lookahead(), lookahead(from_zero=True)),
    "clip": (keras_adam, [Clip(0.7)], transformed(clip), transformed(normalize)),
    "normalize": (keras_adam, [Normalize()], transformed(normalize), transformed(clip)),
    "function": (keras_adam, [FunctionTransform(signs)], transformed(signs), adam()),
    "everything": (
        lambda: keras.optimizers.Adam(PiecewiseLinear(RATE, POINTS)),
        [
            Lookahead(4, 0.3),
            LazyEmbeddings("Token"),
            LearningRateMultipliers({"Emb": 0.5}),
            WeightDecay(0.1),
            Clip(0.7),
        ],
        everything,
        lambda w, g: everything(w, g, from_zero=True),
    ),
}


def extended(make, extensions, micro=1):
    more = [Accumulate(micro)] if micro > 1 else []
    return ExtendedOptimizer(make(), [*extensions, *more]) if extensions or more else make()


@pytest.mark.parametrize(
    ("micro", "compiled"),
    # TensorFlow has two modes, but one of them is enough for accumulation: 16 s less.
    [(1, compiled) for compiled in MODES] + [(3, MODES[-1])],
)
@pytest.mark.parametrize("case", CASES)
def test_equals_its_formula(case, micro, compiled):
    make, extensions, formula, wrong = CASES[case]
    gradients = some_gradients(micro=micro)
    found = run(extended(make, extensions, micro), gradients, compiled)
    for number, weights in enumerate(found):
        if number % micro != micro - 1:  # between updates nothing moves
            before = found[number - 1] if number else WEIGHTS
            assert furthest([weights], [before]) == 0
    found, gradients = found[micro - 1 :: micro], means(gradients, micro)
    assert furthest(found, formula(WEIGHTS, gradients)) < 1e-5
    assert furthest(found, wrong(WEIGHTS, gradients)) > 1e-3


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize("micro", [1, 3])
def test_averages_equal_their_formula(corrected, micro):
    momentum, gradients = 0.8, some_gradients(micro=micro)
    optimizer = extended(keras_adam, [EMA(momentum, bias_correction=corrected)], micro)

    def look():
        if not int(optimizer.updates):
            return None
        return dict(zip(optimizer.paths, optimizer.average_values().values(), strict=True))

    found = run(optimizer, gradients, MODES[-1], look=look)
    start = None if corrected else WEIGHTS
    history = adam()(WEIGHTS, means(gradients, micro))
    expected = formulas.averages(history, momentum, corrected, start)
    assert furthest(found[micro - 1 :: micro], expected) < 1e-5
    # What public code has: no correction of an average from 0, or one step a micro-batch.
    assert furthest(found[micro - 1 :: micro], formulas.averages(history, momentum, False)) > 1e-2
    if micro > 1:
        faster = formulas.averages(history, momentum**micro, corrected, start)
        assert furthest(found[micro - 1 :: micro], faster) > 1e-3


def test_lookahead_at_the_steps_where_public_code_is_wrong():
    """The first updates are those of the inner optimizer; the first sync is after update k."""
    gradients = some_gradients(4)
    plain = run(keras_adam(), gradients)
    found = run(ExtendedOptimizer(keras_adam(), [Lookahead(4, 0.3)]), gradients)
    assert furthest(found[:3], plain[:3]) == 0
    path = "Classifier/bias"
    halfway = WEIGHTS[path] + 0.3 * (plain[3][path] - WEIGHTS[path])
    np.testing.assert_allclose(found[3][path], halfway, atol=1e-6)
    assert np.abs(found[3][path] - plain[3][path]).max() > 1e-2
    # Slow weights of 0 would have lost most of the weights at once.
    assert np.abs(found[0][path] - 0.3 * plain[0][path]).max() > 0.1


def test_schedule_is_asked_once_per_update():
    asked = []

    class Notes(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            if keras.backend.backend() != "jax":  # where the step is a symbol
                asked.append(int(step))
            return 0.01

    optimizer = ExtendedOptimizer(keras.optimizers.SGD(Notes()), [Accumulate(3)])
    run(optimizer, some_gradients(2, micro=3))
    assert int(optimizer.iterations) == 2
    assert keras.backend.backend() == "jax" or asked == [0, 1]


def test_gradients_of_one_large_batch():
    """k micro-batches of b samples equal one batch of k b, to 1e-6."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(12, 4)).astype("float32"), rng.normal(size=(12, 1)).astype("float32")

    def train(optimizer, size, epochs=5):
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
        model.set_weights([np.ones((4, 1)), np.ones(1)])
        model.compile(optimizer, "mse")
        model.fit(x, y, batch_size=size, epochs=epochs, shuffle=False, verbose=0)
        return np.concatenate([w.ravel() for w in model.get_weights()])

    extensions = [Clip(0.5), Lookahead(2)]
    whole = train(ExtendedOptimizer(keras_adam(), extensions), 12)
    parts = train(ExtendedOptimizer(keras_adam(), [*extensions, Accumulate(3)]), 4)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    # Clipping each micro-batch instead, as one optimizer without accumulation would.
    assert np.abs(train(ExtendedOptimizer(keras_adam(), extensions), 4) - whole).max() > 1e-3


@pytest.mark.parametrize("t", [1, 2])
def test_epsilon_of_small_gradients(t):
    """It is added to the root of the corrected moment; Keras' own would give 0.76 and 0.82."""
    weight = keras.Variable(np.zeros(1, "float32"))
    optimizer = Adam(1.0)
    for _ in range(t):
        before = float(keras.ops.convert_to_numpy(weight)[0])
        optimizer.apply([keras.ops.convert_to_tensor([1e-5])], [weight])
    moved = before - float(keras.ops.convert_to_numpy(weight)[0])
    assert moved == pytest.approx(1e-5 / (1e-5 + 1e-6), abs=1e-3)
    assert optimizer.epsilon == 1e-6

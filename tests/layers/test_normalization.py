"""Conditional norms, and the norm without weights, against their formulas in numpy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.layers import (
    ConditionalLayerNormalization,
    ConditionalRMSNormalization,
    UnscaledRMSNormalization,
)

RNG = np.random.default_rng(11)
X = RNG.normal(1.0, 2.0, size=(2, 5, 6)).astype("float32")
CONDITIONS = {
    "a text": RNG.normal(size=(2, 4)).astype("float32"),
    "a token": RNG.normal(size=(2, 5, 4)).astype("float32"),
}
EPSILON = 0.1  # large, so that it shows
NORMS = [ConditionalLayerNormalization, ConditionalRMSNormalization]


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def drawn(norm, **options):
    """A built norm all of whose weights are random, those that start as zeros or ones too."""
    layer = norm(epsilon=EPSILON, **options)
    layer.build([X.shape, (2, 4)])
    for weight in layer.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return layer


def formula(layer, x, condition) -> np.ndarray:
    """The norm in float64, row by row."""
    kernels = {w.path.split("/")[-2]: value(w) for w in layer.weights if "kernel" in w.path}
    own = {w.name: value(w) for w in layer.weights if "kernel" not in w.path}
    layer_norm = isinstance(layer, keras.layers.LayerNormalization)
    y = np.empty(x.shape)
    for b, t in np.ndindex(*x.shape[:2]):
        row = x[b, t].astype("float64")
        c = (condition[b] if condition.ndim == 2 else condition[b, t]).astype("float64")
        if "hidden_dense" in kernels:
            c = np.maximum(c @ kernels["hidden_dense"], 0)
        if layer_norm:
            row = row - sum(row) / len(row)
        row = row / (sum(row**2) / len(row) + EPSILON) ** 0.5
        gain = own.get("gamma", 1) if layer_norm else own["scale"]
        gain = gain + c @ kernels["gamma_dense"]
        shift = own.get("beta", 0) + c @ kernels["beta_dense"] if layer_norm else 0
        y[b, t] = row * gain + shift
    return y


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
@pytest.mark.parametrize("hidden_units", [None, 3])
@pytest.mark.parametrize(
    ("norm", "options"),
    [*((norm, {}) for norm in NORMS), *((NORMS[0], {key: False}) for key in ("center", "scale"))],
)
def test_formula(norm, options, hidden_units, condition):
    layer = drawn(norm, hidden_units=hidden_units, hidden_activation="relu", **options)
    expected = formula(layer, X, condition)
    np.testing.assert_allclose(value(layer([X, condition])), expected, atol=1e-5)
    # That of another text, or none, gives something else.
    for other in (condition[::-1], np.zeros_like(condition)):
        assert np.abs(value(layer([X, other])) - expected).max() > 0.1
        np.testing.assert_allclose(value(layer([X, other])), formula(layer, X, other), atol=1e-5)


@pytest.mark.parametrize("hidden_units", [None, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_starts_as_the_plain_norm(norm, hidden_units):
    plain = norm.__mro__[2](epsilon=EPSILON)
    found = value(norm(epsilon=EPSILON, hidden_units=hidden_units)([X, CONDITIONS["a text"]]))
    np.testing.assert_allclose(found, value(plain(X)), atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_half_precision(norm):
    whole = drawn(norm, hidden_units=3)
    half = norm(epsilon=EPSILON, hidden_units=3, dtype="mixed_float16")
    half.build([X.shape, (2, 4)])
    half.set_weights(whole.get_weights())
    # Squares of such values exceed what float16 can hold.
    x, condition = 300 * X, CONDITIONS["a text"]
    found = half([x, condition])
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    np.testing.assert_allclose(value(found), value(whole([x, condition])), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("norm", NORMS)
def test_config_round_trip(norm):
    layer = drawn(norm, hidden_units=3, hidden_activation="relu")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    inputs = [X, CONDITIONS["a token"]]
    again(inputs)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(value(again(inputs)), value(layer(inputs)))


def test_norm_without_weights():
    layer = UnscaledRMSNormalization(epsilon=EPSILON)
    expected = X / np.sqrt((X.astype("float64") ** 2).mean(-1, keepdims=True) + EPSILON)
    np.testing.assert_allclose(value(layer(X)), expected, atol=1e-6)
    assert layer.weights == []

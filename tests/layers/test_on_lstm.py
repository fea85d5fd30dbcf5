"""ON-LSTM against numpy: steps, sequences, padding, states; and in the hands of Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.layers import ONLSTM, ONLSTMCell, syntax_distances

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 4, 5)).astype("float32")
H, C = RNG.normal(size=(2, 2, 6)).astype("float32")
UNITS, LEVELS = 6, 3
SEQUENCES = {"return_sequences": True, "return_levels": True}


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.convert_to_tensor(tensor))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def numpy_step(x, h, c, kernel, recurrent, bias, reverse=True):
    """One step in float64, unit by unit as in the docstring: output, state, master forget gate."""
    z = x.astype("float64") @ kernel + h @ recurrent + bias
    i, f, g, o = np.split(z[:, : 4 * UNITS], 4, axis=1)
    master_forget, master_input = np.split(z[:, 4 * UNITS :], 2, axis=1)
    levels = np.cumsum(softmax(master_forget), axis=1)
    order = slice(None, None, -1) if reverse else slice(None)
    write = np.cumsum(softmax(master_input)[:, order], axis=1)[:, order]
    ft, it = (np.repeat(gate, UNITS // LEVELS, axis=1) for gate in (levels, write))
    w = ft * it
    kept, written = w * sigmoid(f) + ft - w, w * sigmoid(i) + it - w
    c = kept * c + written * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c, levels


def numpy_sequence(x, weights, h=None, c=None):
    """Outputs (B, T, U), master forget gates (B, T, p) and the last state."""
    h = np.zeros((len(x), UNITS)) if h is None else h
    c = np.zeros((len(x), UNITS)) if c is None else c
    outputs, levels = [], []
    for step in range(x.shape[1]):
        h, c, found = numpy_step(x[:, step], h, c, *weights)
        outputs.append(h)
        levels.append(found)
    return np.stack(outputs, 1), np.stack(levels, 1), c


def built(layer, x=X):
    """Build a layer with random weights, biases too; return it and its weights."""
    layer.build(x.shape)
    weights = [RNG.normal(size=w.shape).astype("float32") for w in layer.get_weights()[:3]]
    layer.set_weights([*weights, *layer.get_weights()[3:]])
    return layer, weights


def test_a_step_equals_numpy():
    cell, weights = built(ONLSTMCell(UNITS, LEVELS), X[:, 0])
    h, (again, c) = cell(X[:, 0], [H, C])
    expected = numpy_step(X[:, 0], H, C, *weights)
    np.testing.assert_allclose(value(h), expected[0], atol=1e-5)
    np.testing.assert_allclose(value(again), expected[0], atol=1e-5)
    np.testing.assert_allclose(value(c), expected[1], atol=1e-5)
    wrong = numpy_step(X[:, 0], H, C, *weights, reverse=False)  # both gates rise
    assert np.abs(value(h) - wrong[0]).max() > 1e-2


def test_a_sequence_equals_numpy_with_its_states():
    layer, weights = built(ONLSTM(UNITS, LEVELS, return_state=True, **SEQUENCES))
    outputs, levels, h, c = map(value, layer(X, initial_state=[H, C]))
    expected = numpy_sequence(X, weights, H, C)
    np.testing.assert_allclose(outputs, expected[0], atol=1e-5)
    np.testing.assert_allclose(levels, expected[1], atol=1e-5)
    np.testing.assert_allclose(h, expected[0][:, -1], atol=1e-5)
    np.testing.assert_allclose(c, expected[2], atol=1e-5)
    assert np.abs(value(layer(X)[0]) - outputs).max() > 1e-2  # the initial state matters
    assert (np.diff(levels, axis=-1) >= 0).all()
    np.testing.assert_allclose(levels[..., -1], 1, atol=1e-6)
    distances = value(syntax_distances(levels))
    np.testing.assert_allclose(distances, 1 - expected[1].mean(-1), atol=1e-5)
    assert distances.min() >= 0
    assert distances.max() <= 1 - 1 / LEVELS + 1e-6


@pytest.mark.spread
def test_the_layer_equals_its_cell_in_keras_own_loop():
    layer, weights = built(ONLSTM(UNITS, LEVELS))
    loop = keras.layers.RNN(ONLSTMCell(UNITS, LEVELS))
    loop.build(X.shape)
    loop.set_weights(weights)
    np.testing.assert_allclose(value(layer(X)), value(loop(X)), atol=1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_does_not_change_what_is_real(side):
    layer, _ = built(ONLSTM(UNITS, LEVELS, return_state=True, **SEQUENCES))
    plain = [value(part) for part in layer(X)]
    real = slice(0, 4) if side == "right" else slice(3, 7)
    padded = np.full((2, 7, 5), 9.0, "float32")
    padded[:, real] = X
    mask = np.zeros((2, 7), bool)
    mask[:, real] = True
    found = [value(part) for part in layer(padded, mask=ops.convert_to_tensor(mask))]
    for a, b in zip(found[:2], plain[:2], strict=True):
        np.testing.assert_allclose(a[:, real], b, atol=1e-5)
    for a, b in zip(found[2:], plain[2:], strict=True):  # the last states
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_array_equal(found[0][~mask], 0)
    read = [value(part) for part in layer(padded)]  # without a mask padding is read
    assert max(np.abs(a - b).max() for a, b in zip(read[2:], plain[2:], strict=True)) > 1e-2


def test_dropconnect_is_one_mask_for_all_steps_and_only_in_training():
    layer, weights = built(ONLSTM(UNITS, LEVELS, recurrent_dropconnect=0.5, seed=7, **SEQUENCES))
    found, plain = value(layer(X, training=True)[0]), value(layer(X)[0])
    np.testing.assert_array_equal(found[:, 0], plain[:, 0])  # the first state is 0
    kernel, recurrent, bias = weights
    ones, seed = ops.ones_like(ops.convert_to_tensor(recurrent)), keras.random.SeedGenerator(7)
    mask = value(keras.random.dropout(ones, 0.5, seed=seed))
    assert set(np.unique(mask)) == {0.0, 2.0}
    expected = numpy_sequence(X, (kernel, recurrent * mask, bias))[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    again = value(layer(X, training=True)[0])  # another mask
    assert np.abs(again - found)[:, 1:].max() > 1e-3
    assert np.abs(plain - found)[:, 1:].max() > 1e-3


@pytest.mark.spread
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(policy):
    layer, weights = built(ONLSTM(UNITS, LEVELS, dtype=policy, **SEQUENCES))
    outputs, levels = layer(X)
    assert keras.backend.standardize_dtype(outputs.dtype) == policy[6:]
    expected = numpy_sequence(X, weights)
    atol = 2e-2 if policy == "mixed_float16" else 1e-1
    np.testing.assert_allclose(value(ops.cast(outputs, "float32")), expected[0], atol=atol)
    np.testing.assert_allclose(value(ops.cast(levels, "float32")), expected[1], atol=atol)


def test_training_with_a_mask_and_a_keras_file(tmp_path):
    ids = np.array([[1, 2, 3, 0], [3, 1, 0, 0]])
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(4, 5, mask_zero=True)(inputs)
    x, levels = ONLSTM(UNITS, LEVELS, recurrent_dropconnect=0.2, name="first", **SEQUENCES)(x)
    x = keras.layers.Bidirectional(ONLSTM(UNITS, LEVELS))(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    assert model.output.shape == (None, 1)
    assert levels.shape == (None, None, LEVELS)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = [value(w).copy() for w in model.trainable_variables]
    model.fit(ids, np.ones((2, 1)), epochs=2, verbose=0)
    for old, new in zip(before, model.trainable_variables, strict=True):
        assert np.abs(old - value(new)).max() > 0, new.path
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(ids, verbose=0), again.predict(ids, verbose=0))
    first = again.get_layer("first")
    assert (first.recurrent_dropconnect, first.cell.levels, first.return_levels) == (0.2, 3, True)


@pytest.mark.spread
def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="units=10 must be a multiple of levels=4, both"):
        ONLSTMCell(10, 4)
    with pytest.raises(ValueError, match="return_levels=True is per token"):
        ONLSTM(8, 4, return_levels=True)
    with pytest.raises(ValueError, match="recurrent_dropconnect=1 must be at least 0 and below 1"):
        ONLSTM(8, 4, recurrent_dropconnect=1)

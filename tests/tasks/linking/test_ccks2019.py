"""Mentions and what they mean by LSTMs: the parts against numpy, the whole saved and learnt."""

from __future__ import annotations

import gc
import math
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.linking import (
    BiLSTM,
    CCKS2019Matching,
    CCKS2019Pointer,
    build_ccks2019,
)

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 6, 4)).astype("float32")
Y = RNG.normal(size=(3, 5, 3)).astype("float32")
MASK = np.array([[1] * 6, [7, 7, 7, 0, 0, 0], [1, 0, 0, 0, 0, 0]], "int32")
Y_MASK = np.array([[1, 1, 0, 0, 0], [1] * 5, [0] * 5], "int32")
FLAGS = np.array(
    [
        [[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]],
        [[0, 0], [1, 1], [0, 0], [0, 0], [0, 0], [0, 0]],
        [[0, 0]] * 6,
    ],
    "int32",
)
MENTION = np.array([[2, 4], [1, 1], [0, 0]], "int32")
FEATURES = RNG.random((3, 6, 2)).astype("float32")
TEXT = np.array([[4, 5, 6, 7, 8, 9], [4, 5, 6, 0, 0, 0], [3, 0, 0, 0, 0, 0]], "int32")
DESCRIPTION = np.array([[4, 9, 0, 0, 0], [3, 4, 5, 6, 7], [0] * 5], "int32")
INPUTS = [TEXT, FLAGS, MENTION, DESCRIPTION, FEATURES]
SMALL = {"embedding_size": 6, "units": 2, "heads": 2}


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(ops.convert_to_tensor(tensor), "float32"))


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -np.asarray(x, "float64")))


def noisy(layer, scale: float = 0.6):
    """The layer with weights far from zero, biases too."""
    rng = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(scale=scale, size=weight.shape).astype("float32"))
    return layer


def built(layer, *shapes):
    layer.build(list(shapes) if len(shapes) > 1 else shapes[0])
    return noisy(layer)


def outputs(model, inputs) -> list[np.ndarray]:
    if keras.backend.backend() == "jax":  # which compiles the loop of an LSTM at every eager call
        found = model.predict_on_batch([np.asarray(array) for array in inputs])
    else:
        found = model([ops.convert_to_tensor(array) for array in inputs], training=False)
    # Of one output Keras makes no list.
    return [value(tensor) for tensor in (found if isinstance(found, list | tuple) else [found])]


def as_model(layer, *arrays):
    """The layer built for arrays, with weights far from zero, and a model of it."""
    inputs = [keras.Input(array.shape[1:], dtype=str(array.dtype)) for array in arrays]
    return noisy(keras.Model(inputs, [layer(inputs)]))


def lstm_in_numpy(cell, text):
    """The states after each token of one text."""
    kernel, recurrent, bias = (value(w).astype("float64") for w in cell.weights)
    h = c = np.zeros(recurrent.shape[0])
    states = []
    for x in text:
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


def bilstm_in_numpy(layer, x, mask):
    for both in layer.layers:
        out = np.zeros((*x.shape[:2], 2 * layer.units))
        for row, text in enumerate(x):
            text = text[: int((mask[row] != 0).sum())]
            if len(text):
                forward = lstm_in_numpy(both.forward_layer.cell, text)
                backward = lstm_in_numpy(both.backward_layer.cell, text[::-1])[::-1]
                out[row, : len(text)] = np.concatenate([forward, backward], -1)
        x = out
    return x


def attend_in_numpy(layer, query, context):
    """Attention of one text over another, head by head."""
    found = []
    q, k, v = (
        (part @ value(dense.kernel) + value(dense.bias)).reshape(len(part), layer.heads, -1)
        for part, dense in ((query, layer.query), (context, layer.key), (context, layer.value))
    )
    for head in range(layer.heads):
        scores = q[:, head] @ k[:, head].T / math.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        found.append(weights / weights.sum(-1, keepdims=True) @ v[:, head])
    output = layer.output_projection
    return np.concatenate(found, -1) @ value(output.kernel) + value(output.bias)


@pytest.mark.parametrize("depth", [1, 2])
def test_lstms_end_where_the_text_does(depth):
    layer = BiLSTM(3, depth)
    model = as_model(layer, X, MASK)
    (found,) = outputs(model, [X, MASK])
    np.testing.assert_allclose(found, bilstm_in_numpy(layer, X, MASK), atol=1e-5)
    assert found.shape == layer.compute_output_shape([X.shape, MASK.shape]) == (3, 6, 6)
    assert (found[MASK == 0] == 0).all()
    # Any values at padding; an unmasked backward LSTM would start there.
    other = np.where(MASK[..., None], X, 9).astype("float32")
    np.testing.assert_array_equal(outputs(model, [other, MASK])[0], found)
    unmasked = outputs(model, [X, np.ones_like(MASK)])[0]
    assert np.abs(unmasked - found)[1, 0, 3:].max() > 1e-3
    assert np.abs(outputs(model, [X, MASK * 0])[0]).max() == 0


def test_pointer():
    layer = built(CCKS2019Pointer(5), X.shape, FLAGS.shape)
    found = value(layer([X, FLAGS]))
    kernel, padded = value(layer.convolution.kernel), np.pad(X, [(0, 0), (1, 1), (0, 0)])
    hidden = sum(padded[:, k : k + 6] @ kernel[k] for k in range(3)) + value(layer.convolution.bias)
    wanted = np.maximum(hidden, 0) @ value(layer.ends.kernel) + value(layer.ends.bias)
    np.testing.assert_allclose(found[FLAGS == 1], wanted[FLAGS == 1], atol=1e-5)
    assert (found[FLAGS == 0] == -1e9).all()


def test_pointer_loss_by_hand():
    """Chances 3/4 and 1/2 of two starts and 1/4 of an end; one end is ignored, one is no name's."""
    s = math.log(3)
    scores = np.array([[[s, -s], [0, s], [-1e9, -1e9]]], "float32")
    labels = np.array([[[1, 0], [0, -1], [1, 1]]])
    wanted = (math.log(4 / 3) + math.log(2)) / 2 + math.log(4 / 3)
    np.testing.assert_allclose(value(CCKS2019Pointer.loss(labels, scores)), [wanted], rtol=1e-5)
    wrong = value(CCKS2019Pointer.loss(1 - labels, scores))
    assert wrong > wanted
    nothing = value(CCKS2019Pointer.loss(-np.ones((2, 3, 2)), np.tile(scores, (2, 1, 1))))
    assert nothing.tolist() == [0, 0]
    sure = value(CCKS2019Pointer.loss(np.ones((1, 1, 2)), np.full((1, 1, 2), -1e4, "float32")))
    np.testing.assert_allclose(sure, [2e4])


def test_pointer_decoding_by_hand():
    low = math.log(0.39 / 0.61)
    scores = np.full((3, 5, 2), -1e9)
    scores[0, 0] = scores[0, 2, 1] = scores[0, 3, 0] = scores[0, 4, 1] = 1
    scores[0, 0, 1] = low
    scores[1, 4, 0] = scores[1, 1, 1] = 1  # no end behind the start
    assert CCKS2019Pointer.decode(scores) == [[(0, 3), (3, 5)], [], []]
    assert CCKS2019Pointer.decode(scores, end=0.38) == [[(0, 1), (3, 5)], [], []]
    assert CCKS2019Pointer.decode(ops.convert_to_tensor(scores), start=0.8) == [[], [], []]


@pytest.mark.parametrize("features", [False, True])
def test_matching_against_numpy(features):
    layer, inputs = CCKS2019Matching(2, 2), [X, MASK, MENTION, Y, Y_MASK]
    inputs += [FEATURES] * features
    (found,) = outputs(as_model(layer, *inputs), inputs)
    inside = [[first <= t <= last for t in range(6)] for first, last in MENTION.tolist()]
    parts = [X, np.array(inside, float)[..., None], *inputs[5:]]
    q = bilstm_in_numpy(layer.query, np.concatenate(parts, -1), MASK)
    d = bilstm_in_numpy(layer.description, Y, Y_MASK)
    for row in range(3):
        text, about = q[row][MASK[row] > 0], d[row][Y_MASK[row] > 0]
        # Where nothing is written the attention is over zeros: its values are the bias.
        seen = about if len(about) else np.zeros((1, 4))
        a = text + attend_in_numpy(layer.to_description, text, seen)
        b = about + attend_in_numpy(layer.to_query, about, text) if len(about) else np.zeros((1, 4))
        joined = np.concatenate([a.max(0), b.max(0), *(q[row, place] for place in MENTION[row])])
        hidden = joined @ value(layer.inner.kernel) + value(layer.inner.bias)
        wanted = np.maximum(hidden, 0) @ value(layer.score.kernel) + value(layer.score.bias)
        np.testing.assert_allclose(found[row], wanted, atol=1e-5)
    assert np.ptp(found) > 0.05


def test_matching_reads_all_that_it_is_given():
    """The mention's place, a token of either text, a feature; and no padding."""
    inputs = [X, MASK, MENTION, Y, Y_MASK, FEATURES]
    model = as_model(CCKS2019Matching(2, 2), *inputs)
    (before,) = outputs(model, inputs)
    for which, place, moves in [
        (0, (1, 0), True),
        (0, (1, 4), False),
        (2, (1, 0), True),
        (3, (0, 1), True),
        (3, (0, 3), False),
        (5, (1, 2), True),
        (5, (1, 3), False),
    ]:
        other = [array.copy() for array in inputs]
        other[which][place] = 0 if which == 2 else 3
        moved = np.abs(outputs(model, other)[0] - before)
        assert (moved.max() > 1e-4) == moves, (which, place)
        assert (np.delete(moved, place[0]) < 1e-6).all()


def test_matching_loss_and_decoding_by_hand():
    loss = CCKS2019Matching.loss
    scores = np.array([[math.log(3)], [math.log(3)], [5.0], [-1e4]], "float32")
    wanted = [math.log(4 / 3), math.log(4), 0, 1e4]
    np.testing.assert_allclose(value(loss([1, 0, -1, 1], scores)), wanted, rtol=1e-5)
    np.testing.assert_allclose(value(loss(np.c_[[1, 0, -1, 1]], scores)), wanted, rtol=1e-5)
    groups = [("m", "a"), ("m", "b"), ("n", "a"), ("m", "c")]
    scores = np.log([[1 / 3], [3], [1 / 3], [1]])
    decode = CCKS2019Matching.decode
    assert decode(scores, groups) == {
        "m": ("b", pytest.approx(0.75)),
        "n": (None, pytest.approx(0.25)),
    }
    assert decode(scores, groups, 0.2)["n"][0] == "a"
    assert decode(np.zeros((0, 1)), []) == {}
    with pytest.raises(ValueError, match="3 groups for 4 scores"):
        decode(scores, groups[:3])


def test_the_whole_is_its_parts():
    model = noisy(build_ccks2019(10, features=2, **SMALL))
    part = {layer.name: layer for layer in model.layers}
    table = value(part["Embedding-Token"].embeddings)
    text = np.concatenate([table[TEXT], FLAGS], -1)
    text = bilstm_in_numpy(part["Text"], text, TEXT).astype("float32")
    mentions, same = outputs(model, INPUTS)
    np.testing.assert_allclose(mentions, value(part["Mentions"]([text, FLAGS])), atol=1e-5)
    wanted = part["Same-Entity"](
        [text, TEXT, MENTION, table[DESCRIPTION], DESCRIPTION, FEATURES], training=False
    )
    np.testing.assert_allclose(same, value(wanted), atol=1e-5)
    assert [tuple(tensor.shape) for tensor in model.outputs] == [(None, None, 2), (None, 1)]
    finder = keras.Model(model.inputs[:2], model.outputs[:1])
    np.testing.assert_allclose(outputs(finder, INPUTS[:2])[0], mentions, atol=1e-6)


def test_padding_changes_nothing():
    model = noisy(build_ccks2019(10, features=2, **SMALL))
    before = outputs(model, INPUTS)
    sizes = {0: 2, 1: 2, 3: 3, 4: 2}
    longer = [
        np.pad(x, [(0, 0), (0, sizes.get(k, 0)), (0, 0)][: x.ndim]) for k, x in enumerate(INPUTS)
    ]
    mentions, same = outputs(model, longer)
    np.testing.assert_allclose(mentions[:, :6], before[0], atol=1e-5)
    assert (mentions[:, 6:] == -1e9).all()
    np.testing.assert_allclose(same, before[1], atol=1e-5)


@pytest.mark.parametrize("lengths", [(1, 0), (40, 39)])
def test_texts_of_one_token_of_none_and_long_ones(lengths):
    model = build_ccks2019(10, **SMALL)
    text = np.zeros((2, max(lengths)), "int32")
    for row, length in enumerate(lengths):
        text[row, :length] = 4
    flags = np.repeat((text > 0)[..., None], 2, -1).astype("int32")
    mentions, same = outputs(model, [text, flags, np.zeros((2, 2), "int32"), text[:, :1]])
    assert np.isfinite(mentions).all()
    assert np.isfinite(same).all()
    found = CCKS2019Pointer.decode(mentions, 0.01, 0.01)
    assert tuple(map(len, found)) == lengths


def test_word_vectors():
    """Both texts have them; they are not trained, see also `test_learns_eight_texts_by_heart`."""
    vectors = RNG.normal(size=(5, 3)).astype("float32")
    model = build_ccks2019(10, 2, vectors, **SMALL)
    inputs = [TEXT, FLAGS, TEXT % 5, MENTION, DESCRIPTION, DESCRIPTION % 5, FEATURES]
    before = outputs(model, inputs)
    for which in (2, 5):
        other = list(inputs)
        other[which] = other[which] * 0
        assert np.abs(outputs(model, other)[1] - before[1]).max() > 1e-5
    table = model.get_layer("Words")
    np.testing.assert_array_equal(value(table.embeddings), vectors)
    assert not table.trainable_weights
    assert model.get_layer("Words-Projection").trainable_weights


RELOAD = """
import sys, keras, numpy as np
import bert4keras.tasks
for path in sys.argv[1:]:
    model = keras.models.load_model(path + ".keras", compile=False)
    with np.load(path + ".npz") as arrays:
        y = model.predict_on_batch([arrays[f"arr_{i}"] for i in range(len(model.inputs))])
    np.savez(path + "_out.npz", *y)
"""


def test_a_new_process_loads_and_predicts_the_same(tmp_path):
    """A float32 model, and a half precision one, whose policy the new process does not share."""
    expected = {}
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        words = {"word_vectors": np.eye(5, 3, dtype="float32")}
        model = noisy(build_ccks2019(10, 2, **words, **SMALL))
        inputs = [TEXT, FLAGS, TEXT % 5, MENTION, DESCRIPTION, DESCRIPTION % 5, FEATURES]
        expected[policy] = model.predict_on_batch(inputs)
        model.save(tmp_path / f"{policy}.keras")
        np.savez(tmp_path / f"{policy}.npz", *inputs)
    command = [sys.executable, "-W", "ignore", "-c", RELOAD, *(str(tmp_path / p) for p in expected)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    for policy, wanted in expected.items():
        with np.load(tmp_path / f"{policy}_out.npz") as found:
            for number, scores in enumerate(wanted):
                np.testing.assert_array_equal(found[f"arr_{number}"], scores)


def test_no_layer_is_taken_for_another_while_a_file_is_read():
    """Keras knows what it has read by addresses, which are free again once a layer is gone."""
    from keras.src.saving.serialization_lib import ObjectSharingScope

    layers = []
    gc.collect()
    gc.freeze()  # or each collection looks at everything that was ever imported
    with ObjectSharingScope():
        for _ in range(40):
            layers.append(BiLSTM(1))
            gc.collect()
    gc.unfreeze()
    both = [layer.layers[0] for layer in layers]
    assert len({id(x) for one in both for x in (one.forward_layer, one.backward_layer)}) == 80


def test_mixed_precision():
    exact = outputs(noisy(build_ccks2019(10, features=2, **SMALL), 0.3), INPUTS)
    keras.config.set_dtype_policy("mixed_float16")
    model = noisy(build_ccks2019(10, features=2, **SMALL), 0.3)
    assert [tensor.dtype for tensor in model.outputs] == ["float32"] * 2
    found = model.predict_on_batch(INPUTS)
    for scores, wanted in zip(found, exact, strict=True):
        assert keras.backend.standardize_dtype(scores.dtype) == "float32"
        np.testing.assert_allclose(value(scores), wanted, atol=0.05)
    lstm = model.get_layer("Text").layers[0].forward_layer
    assert lstm.compute_dtype == lstm.cell.compute_dtype == "float16"


@pytest.mark.parametrize(
    "layer",
    [BiLSTM(3, 2, name="x"), CCKS2019Pointer(7), CCKS2019Matching(6, 3, 0.5)],
    ids=lambda layer: type(layer).__name__,
)
def test_configs_round_trip(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BiLSTM(0), "units=0 and depth=1"),
        (lambda: BiLSTM(3, 0), "units=3 and depth=0"),
        (lambda: CCKS2019Pointer(0), "units=0"),
        (lambda: CCKS2019Matching(3, 4), "2 . units = 6 must be a multiple of heads=4"),
        (lambda: CCKS2019Matching(3, 0), "must be a multiple of heads=0"),
        (lambda: CCKS2019Matching(dropout=2), "2"),
        (lambda: built(CCKS2019Pointer(), X.shape, MASK.shape), r"\(B, T, 2\), not \(3, 6\)"),
        (lambda: built(CCKS2019Matching(), X.shape, MASK.shape), "inputs must be .*, not 2"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_learns_eight_texts_by_heart():
    """Learn which names are mentions, and which of two descriptions is meant; one is ignored."""
    rng = np.random.default_rng(0)
    text = np.repeat(rng.integers(2, 20, (8, 7)), 2, axis=0).astype("int32")
    description = rng.integers(2, 20, (16, 5)).astype("int32")
    labels, flags = np.zeros((16, 7, 2), "int32"), np.zeros((16, 7, 2), "int32")
    mention, spans = np.zeros((16, 2), "int32"), []
    for row in range(0, 16, 2):
        first, second = rng.integers(0, 2), rng.integers(4, 6)
        names = [(first, first + 2), (second, second + 1)]
        for start, end in names:
            flags[row : row + 2, start, 0] = flags[row : row + 2, end, 1] = 1
        start, end = names[rng.integers(2)]
        labels[row : row + 2, start, 0] = labels[row : row + 2, end, 1] = 1
        mention[row : row + 2] = start, end
        spans += [[(start, end + 1)]] * 2
    same = np.array([1, 0] * 3 + [0, 1] * 5)
    vectors = rng.normal(size=(4, 3)).astype("float32")
    sizes = {"embedding_size": 16, "units": 16, "heads": 4, "dropout": 0.0}
    model = build_ccks2019(20, word_vectors=vectors, **sizes)
    pointer, matching = model.get_layer("Mentions"), model.get_layer("Same-Entity")
    inputs = [text, flags, text % 4, mention, description, description % 4]
    before = outputs(model, inputs)
    model.compile(keras.optimizers.Adam(0.01), loss=[pointer.loss, matching.loss])
    taught = np.array([*same[:-1], -1])
    steps = [np.concatenate([array] * 50) for array in (*inputs, labels, taught)]
    model.fit(steps[:6], tuple(steps[6:]), batch_size=16, shuffle=False, verbose=0)
    mentions, scores = outputs(model, inputs)
    assert pointer.decode(before[0]) != spans
    assert pointer.decode(mentions) == spans
    groups = [(row // 2, row) for row in range(16)]
    best = matching.decode(scores, groups, 0.0)
    assert [best[row][0] % 2 for row in range(7)] == [0, 0, 0, 1, 1, 1, 1]
    assert ((scores[:-1, 0] > 0) == (same[:-1] == 1)).all()
    np.testing.assert_array_equal(value(model.get_layer("Words").embeddings), vectors)

"""The ancestor's `backend`: each helper against numpy, a loop, or numbers worked out by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras import backend
from bert4keras._old_names import OLD_NAMES
from bert4keras.backend import K
from helpers import tiny

# Every public name of the ancestor's module.
ANCESTOR = """
    is_tf_keras keras K get_available_gpus gelu_erf gelu_tanh set_gelu piecewise_linear
    search_layer align reshape flatten dtype where sequence_masking batch_gather pool1d
    divisible_temporal_padding root_mean_square swish leaky_relu attention_normalize
    sinusoidal_embeddings Sinusoidal apply_rotary_position_embeddings
    multilabel_categorical_crossentropy sparse_multilabel_categorical_crossentropy symbolic
    graph_mode_decorator recompute_grad custom_objects
""".split()
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], "int32")


def numpy(x) -> np.ndarray:
    return ops.convert_to_numpy(ops.convert_to_tensor(x))


def tensor(x):
    return ops.convert_to_tensor(x)


def close(found, expected, atol=1e-6):
    np.testing.assert_allclose(numpy(found), expected, atol=atol, rtol=1e-5)


@pytest.mark.spread
@pytest.mark.parametrize("name", ANCESTOR)
def test_every_name_is_there_or_says_why_not(name):
    if name in [*backend.__all__, *OLD_NAMES["backend"]]:
        assert hasattr(backend, name)
    else:
        with pytest.raises(ImportError, match=rf"backend\.{name} is not part of this version: \w"):
            exec(f"from bert4keras.backend import {name}")


def test_activations():
    x = np.array([-2.0, 0.0, 1.0], "float32")
    close(backend.gelu_erf(x), [-0.04550026, 0, 0.84134475])  # x times the normal distribution
    close(backend.gelu_tanh(x), [-0.04540231, 0, 0.84119199])
    close(backend.swish(x), x / (1 + np.exp(-x)))
    close(backend.leaky_relu(x), [-0.4, 0, 1])
    close(backend.root_mean_square(X, axis=-1, keepdims=True), np.sqrt((X**2).mean(-1)[..., None]))


@pytest.mark.parametrize(
    ("schedule", "from_zero", "steps", "values"),
    [
        ({1000: 1, 2000: 0.1}, True, [0, 500, 1000, 1500, 2000, 9000], [0, 0.5, 1, 0.55, 0.1, 0.1]),
        ({10: 1, 20: 3}, False, [0, 10, 15, 30], [1, 1, 2, 3]),
        ({0: 2, 4: 0}, True, [0, 1, 4, 5], [2, 1.5, 0, 0]),
        ({5: 1}, True, [1, 5, 6], [0.2, 1, 1]),
    ],
)
def test_piecewise_linear(schedule, from_zero, steps, values):
    close(backend.piecewise_linear(np.array(steps), schedule, from_zero), values)
    close(backend.piecewise_linear(steps[1], schedule, from_zero), values[1])


@pytest.mark.spread
def test_search_layer():
    bert = tiny.build(with_pool=True)
    model = keras.Model(bert.input, keras.layers.Dense(2, name="Head")(bert.output))
    embedding = bert.get_layer("Embedding-Token")
    assert backend.search_layer(model.output, "Embedding-Token") is embedding
    assert backend.search_layer(model.get_layer("Head"), "Embedding-Token") is embedding
    assert backend.search_layer(model.get_layer("Head"), "Head") is model.get_layer("Head")
    assert backend.search_layer(bert.get_layer("Embedding-Norm").output, "Head") is None


def test_align():
    x = tensor(MASK)
    assert tuple(backend.align(x, [0, 2]).shape) == (2, 1, 5)
    assert tuple(backend.align(x, [0, 1], 4).shape) == (2, 5, 1, 1)
    assert tuple(backend.align(x, [0, -1], 4).shape) == (2, 1, 1, 5)
    np.testing.assert_array_equal(numpy(backend.align(x, [0, -1], 3))[:, 0], MASK)


def test_reshape_and_flatten():
    x = tensor(X)
    np.testing.assert_array_equal(numpy(backend.reshape(x, (10, 4))), X.reshape(10, 4))
    np.testing.assert_array_equal(numpy(backend.reshape(x, (2, -1), 2)), X.reshape(2, 5, 2, 2))
    split = backend.reshape(x, (1, 2), 0, (2, 2), 2)
    np.testing.assert_array_equal(numpy(split), X.reshape(1, 2, 5, 2, 2))
    np.testing.assert_array_equal(numpy(backend.flatten(x)), X.ravel())
    np.testing.assert_array_equal(numpy(backend.flatten(x, 1)), X.reshape(2, 20))
    np.testing.assert_array_equal(numpy(backend.flatten(x, -2)), X.reshape(2, 20))
    np.testing.assert_array_equal(numpy(backend.flatten(x, end=2)), X.reshape(10, 4))
    symbolic = keras.Input((5, 4))
    assert backend.flatten(symbolic, 1).shape == (None, 20)
    assert backend.reshape(symbolic, (2, 2), 2).shape == (None, 5, 2, 2)


def test_where():
    for x, y, kind in ((X, 0, "float32"), (1, MASK, "int32"), (2, 3.5, "float32")):
        condition = X > 0 if x is X else MASK
        found = backend.where(tensor(condition), tensor(x) if x is X else x, y)
        assert backend.dtype(found) == kind
        np.testing.assert_array_equal(numpy(found), np.where(condition, x, y))
    assert tuple(backend.where(tensor(MASK), tensor(X[0, 0, 0]), 1.0).shape) == (2, 5)
    assert backend.dtype(1) is None
    assert backend.dtype(MASK) == "int32"


def test_sequence_masking():
    keep = MASK.astype(bool)
    x, mask = tensor(X), tensor(MASK)
    close(backend.sequence_masking(x, mask, 7), np.where(keep[..., None], X, 7))
    assert backend.sequence_masking(x) is x
    square = RNG.normal(size=(2, 3, 5, 5)).astype("float32")
    both = keep[:, None, :, None] & keep[:, None, None]
    found, full = backend.sequence_masking(
        tensor(square), mask, 0, axis=[2, -1], bias=tensor(square), return_mask=True
    )
    close(found, np.where(both, 2 * square, 0))
    np.testing.assert_array_equal(numpy(full), both)
    causal = np.tri(5, dtype=bool)
    found = backend.sequence_masking(tensor(square), mask, 1, axis=-1, bias=tensor(causal))
    close(found, np.where(keep[:, None, None] & causal, square, 1))
    close(
        backend.sequence_masking(tensor(square), bias=tensor(causal)), np.where(causal, square, 0)
    )
    for kind in ("float32", "float16", "bfloat16"):
        lowest = backend.sequence_masking(ops.cast(X, kind), mask, "-inf")
        assert np.isfinite(numpy(ops.cast(lowest, "float32"))).all()
        maxima = numpy(ops.cast(ops.max(lowest, axis=1), "float32"))
        expected = numpy(ops.cast(ops.cast(X, kind), "float32"))
        np.testing.assert_array_equal(maxima, np.where(keep[..., None], expected, -9).max(1))


def test_batch_gather():
    indices = np.array([[4, 0, 0], [1, 3, 2]])
    expected = np.stack([X[b][indices[b]] for b in range(2)])
    np.testing.assert_array_equal(numpy(backend.batch_gather(tensor(X), indices)), expected)
    found = backend.batch_gather(tensor(X[..., 0]), tensor(indices.astype("float32")))
    np.testing.assert_array_equal(numpy(found), expected[..., 0])


@pytest.mark.parametrize(("mode", "function"), [("max", np.max), ("avg", np.mean)])
def test_pool1d(mode, function):
    expected = np.stack([function(X[:, i : i + 2], axis=1) for i in (0, 2)], axis=1)
    close(backend.pool1d(tensor(X), 2, strides=2, pool_mode=mode), expected)


@pytest.mark.parametrize(("n", "length"), [(1, 5), (2, 6), (4, 8), (5, 5)])
def test_divisible_temporal_padding(n, length):
    found = numpy(backend.divisible_temporal_padding(tensor(X), n))
    assert found.shape == (2, length, 4)
    np.testing.assert_array_equal(found[:, :5], X)
    assert (found[:, 5:] == 0).all()


@pytest.mark.parametrize("method", ["softmax", "squared_relu", "softmax_plus"])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("length", [5, 600])
def test_attention_normalize(method, masked, length):
    a = RNG.normal(size=(2, 1, 3, length)).astype("float32")
    bias = RNG.normal(size=(3, length)).astype("float32")
    keep = np.arange(length) < np.array([[length // 2], [length]])
    found = numpy(
        backend.attention_normalize(
            tensor(a), tensor(keep) if masked else None, -1, method, tensor(bias)
        )
    )
    for b in range(2):
        n = keep[b].sum() if masked else length
        row = (a + bias)[b, 0, 0, :n].astype("float64")
        if method == "squared_relu":
            expected = np.maximum(row, 0) ** 2 / n
        else:
            scale = np.log(max(n, 16)) / np.log(512) if method == "softmax_plus" else 1
            expected = np.exp(scale * row) / np.exp(scale * row).sum()
        close(found[b, 0, 0, :n], expected)
        assert (found[b, 0, 0, n:] == 0).all()


def test_a_row_without_keys_is_finite():
    nothing = tensor(np.zeros((2, 5), bool))
    for method in ("softmax", "squared_relu", "softmax_plus"):
        found = backend.attention_normalize(
            tensor(X[:, None, :, :1] + X[:, None, :, 0, None]), nothing, -2, method
        )
        assert np.isfinite(numpy(found)).all()


def test_sinusoids_and_rotation():
    table = numpy(backend.sinusoidal_embeddings(np.arange(6), 4))
    for p in range(6):
        for i in range(2):
            angle = p / 10000 ** (2 * i / 4)
            close(table[p, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)])
    close(backend.Sinusoidal()((6, 4)), table)
    layer = keras.layers.Embedding(6, 4, embeddings_initializer=backend.Sinusoidal())
    close(layer(np.arange(6)), table)

    q, k = (RNG.normal(size=(2, 5, 3, 4)).astype("float32") for _ in range(2))
    angles = backend.sinusoidal_embeddings(np.arange(5)[None], 4)
    turned_q, _ = backend.apply_rotary_position_embeddings(angles, tensor(q), tensor(k))
    as_complex = q[..., ::2] + 1j * q[..., 1::2]
    rates = np.exp(1j * np.arange(5)[:, None, None] / 10000 ** (np.arange(2) / 2))
    turned = as_complex * rates
    close(turned_q, np.stack([turned.real, turned.imag], -1).reshape(q.shape))
    # The product of two rotated vectors depends only on their distance.
    same = np.broadcast_to(q[:, :1], q.shape), np.broadcast_to(k[:, :1], k.shape)
    a, b = (numpy(backend.apply_rotary_position_embeddings(angles, tensor(x))) for x in same)
    scores = np.einsum("bqhd,bkhd->bhqk", a, b)
    close(scores[..., 1:, 1:], scores[..., :-1, :-1], atol=1e-5)
    assert np.abs(scores[..., 1:, :-1] - scores[..., :-1, 1:]).max() > 1e-2


def zlpr(y, s):
    """By the definition, one row after the other."""
    rows = zip(
        y.reshape(-1, y.shape[-1]), s.reshape(-1, s.shape[-1]).astype("float64"), strict=True
    )
    found = [
        np.log(1 + np.exp(-row[one > 0]).sum()) + np.log(1 + np.exp(row[one == 0]).sum())
        for one, row in rows
    ]
    return np.reshape(found, y.shape[:-1])


def test_multilabel_crossentropy():
    s = 3 * RNG.normal(size=(3, 2, 6)).astype("float32")
    y = np.zeros(s.shape, "float32")
    y[0, 0, [1, 4]] = y[0, 1, 2] = y[1, 0] = 1
    close(backend.multilabel_categorical_crossentropy(y, tensor(s)), zlpr(y, s), atol=1e-5)
    soft = np.array([[0.3, 0.9]], "float32")
    scores = np.array([[1.0, -2.0]], "float32")
    positive = np.log(1 + (soft * np.exp(-scores)).sum())
    negative = np.log(1 + ((1 - soft) * np.exp(scores)).sum())
    found = backend.multilabel_categorical_crossentropy(soft, tensor(scores))
    close(found, [positive + negative], atol=1e-5)


@pytest.mark.parametrize("mask_zero", [True, False])
def test_sparse_multilabel_crossentropy(mask_zero):
    s = 2 * RNG.normal(size=(4, 6)).astype("float32")
    indices = np.array([[1, 4, 3], [5, 1, 2], [3, 0, 0], [0, 0, 0]])
    if not mask_zero:
        indices = np.array([[1, 4, 3], [5, 1, 2], [3, 0, 1], [0, 2, 5]])
    y = np.zeros(s.shape)
    np.put_along_axis(y, indices, 1, axis=1)
    first = int(mask_zero)
    found = backend.sparse_multilabel_categorical_crossentropy(indices, tensor(s), mask_zero)
    close(found, zlpr(y[:, first:], s[:, first:]), atol=1e-4)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (lambda: K.argmax(X), X.argmax(-1)),
        (lambda: K.argmin(X), X.argmin(-1)),
        (lambda: K.concatenate([X, X]), np.concatenate([X, X], -1)),
        (lambda: K.expand_dims(X), X[..., None]),
        (lambda: K.cumsum(X), X.cumsum(0)),
        (lambda: K.sum(X, axis=1, keepdims=True), X.sum(1, keepdims=True)),
        (lambda: K.mean(X), X.mean()),
        (lambda: K.batch_dot(X, X, axes=2), X @ X.transpose(0, 2, 1)),
        (lambda: K.batch_dot(X, X.transpose(0, 2, 1)), X @ X.transpose(0, 2, 1)),
        (lambda: K.batch_flatten(X), X.reshape(2, 20)),
        (lambda: K.permute_dimensions(X, (0, 2, 1)), X.transpose(0, 2, 1)),
        (lambda: K.repeat(X[:, 0], 3), np.repeat(X[:, :1], 3, 1)),
        (lambda: K.repeat_elements(X, 2, 1), np.repeat(X, 2, 1)),
        (lambda: K.reverse(X, 1), X[:, ::-1]),
        (lambda: K.gather(X[0], MASK), X[0][MASK]),
        (lambda: K.switch(MASK, X, 0 * X), np.where(MASK[..., None], X, 0)),
        (lambda: K.switch(tensor(True), lambda: X, lambda: -X), X),
        (lambda: K.l2_normalize(X, -1), X / np.linalg.norm(X, axis=-1, keepdims=True)),
        (lambda: K.temporal_padding(X, (1, 2)), np.pad(X, [(0, 0), (1, 2), (0, 0)])),
        (lambda: K.relu(X, alpha=0.1, max_value=0.5), np.minimum(np.where(X > 0, X, X / 10), 0.5)),
        (lambda: K.in_top_k(X[0], MASK[0], 1), X[0].argmax(-1) == MASK[0]),
        (lambda: K.map_fn(lambda x: 2 * x, X), 2 * X),
        (lambda: K.constant(3, shape=(2,)), [3.0, 3.0]),
        (lambda: K.arange(3), [0, 1, 2]),
        (lambda: K.cast_to_floatx(MASK), MASK),
        (lambda: K.pow(X, 2), X**2),
        (lambda: K.prod(X, axis=1), X.prod(1)),
        (lambda: K.prod(K.shape(X)[:2]), 10),
        (lambda: K.identity(X), X),
        (lambda: K.bias_add(X, X[0, 0]), X + X[0, 0]),
        (lambda: K.where(MASK, 1.0, 2.0), np.where(MASK, 1.0, 2.0)),
        (lambda: K.dropout(X, 0.0), X),
    ],
)
def test_functions_of_keras_2(found, expected):
    close(found(), expected)


def test_variables_and_shapes():
    v = K.variable([1.0, 2.0])
    assert K.dtype(v) == K.floatx() == "float32"
    K.update_add(v, [1.0, 1.0])
    K.update_sub(v, [0.5, 0.0])
    close(v, [1.5, 3.0])
    K.set_value(v, [0.0, 0.0])
    K.batch_set_value([(v, [4.0, 5.0])])
    np.testing.assert_array_equal(K.batch_get_value([v])[0], [4.0, 5.0])
    K.update(v, [6.0, 7.0])
    np.testing.assert_array_equal(K.get_value(v), [6.0, 7.0])
    np.testing.assert_array_equal(K.eval(v), [6.0, 7.0])
    assert K.int_shape(keras.Input((3,))) == (None, 3)
    assert K.count_params(v) == 2
    assert K.ndim(tensor(X)) == 3
    with K.name_scope("here"):
        assert K.epsilon() == keras.config.epsilon()


def test_random_tensors():
    for found in (K.random_normal((500,), 3.0, 0.1, seed=1), K.truncated_normal((500,), 3.0, 0.1)):
        assert abs(numpy(found).mean() - 3) < 0.05
    assert 0.4 < numpy(K.random_uniform((500,), 0.2, 0.8)).mean() < 0.6
    assert set(numpy(K.random_bernoulli((500,), 0.5))) == {0.0, 1.0}
    assert 0.1 < numpy(K.random_binomial((500,), 0.2)).mean() < 0.3


@pytest.mark.spread
def test_what_keras_3_lacks_is_said():
    for name in ("function", "gradients", "learning_phase", "placeholder"):
        with pytest.raises(AttributeError, match=rf"K\.{name} does not exist on Keras 3: \w"):
            getattr(K, name)
    with pytest.raises(AttributeError, match=r"K\.nonsense does not exist; see keras\.ops"):
        K.nonsense  # noqa: B018
    assert {"argmax", "softmax", "epsilon", "sequence_masking"} <= set(dir(K))


@pytest.mark.spread
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: backend.piecewise_linear(1, {}), "schedule has no point"),
        (lambda: backend.align(X, [0, 1]), r"axes \[0, 1\] do not fit a tensor of 3 axes"),
        (lambda: backend.align(MASK, [0, -1]), "ndim is needed"),
        (lambda: backend.reshape(X, (2, 2), 2, (1,)), "pairs of a shape and an axis"),
        (lambda: backend.flatten(keras.Input((None, 3)), 1, 3), "several unknown lengths"),
        (lambda: backend.pool1d(X, 2, pool_mode="min"), "'max' or 'avg', not 'min'"),
        (lambda: backend.attention_normalize(X, method="sigmoid"), "not 'sigmoid'"),
        (lambda: backend.sinusoidal_embeddings(1, 3), "dim must be even, not 3"),
        (lambda: backend.apply_rotary_position_embeddings(X), "tensors of one shape"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_layer_is_found_from_what_a_loss_gets():
    with pytest.raises(TypeError, match=r"not .*: on Keras 3 .*\[GradientPenalty\(\)\]"):
        backend.search_layer(ops.ones((2, 3)), "Embedding-Token")

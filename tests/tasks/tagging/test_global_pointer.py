"""Scores of spans against numpy, and what rotation and masks do to them."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from bert4keras.tasks.tagging import EfficientGlobalPointer, GlobalPointer

pytestmark = pytest.mark.spread

RNG = np.random.default_rng(2)
X = RNG.normal(size=(2, 5, 6)).astype("float32")
IDS = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 0, 0]], "int32")


def value(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def dense(x, layer):
    return x.astype("float64") @ value(layer.kernel) + value(layer.bias)


def noisy(head):
    """The head with weights, biases included, that are no longer special."""
    head.build([X.shape, IDS.shape])
    for weight in head.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return head


def rotated(vector, position):
    """Pairs of coordinates as complex numbers, turned."""
    size = len(vector)
    turned = (vector[::2] + 1j * vector[1::2]) * np.exp(
        1j * position * 10000.0 ** (-np.arange(0, size, 2) / size)
    )
    return np.stack([turned.real, turned.imag], -1).ravel()


def oracle(head, x, rotary: bool) -> np.ndarray:
    """The formula of the docstring, span by span."""
    efficient = isinstance(head, EfficientGlobalPointer)
    size, heads = head.head_size, head.heads
    query, key = dense(x, head.query), dense(x, head.key)
    batch, length = x.shape[:2]
    scores = np.zeros((batch, heads, length, length))
    for b, h, i, j in np.ndindex(scores.shape):
        part = slice(0, size) if efficient else slice(h * size, (h + 1) * size)
        q, k = query[b, i, part], key[b, j, part]
        if rotary:
            q, k = rotated(q, i), rotated(k, j)
        scores[b, h, i, j] = q @ k / np.sqrt(size) + value(head.bias)[h]
        if efficient:
            first = np.concatenate([query[b, i], key[b, i]])
            last = np.concatenate([query[b, j], key[b, j]])
            scores[b, h, i, j] += dense(first, head.ends)[h] + dense(last, head.ends)[heads + h]
    return scores


@pytest.mark.parametrize("rotary", [True, False])
@pytest.mark.parametrize("cls", [GlobalPointer, EfficientGlobalPointer])
def test_scores(cls, rotary):
    head = noisy(cls(3, 4, use_rotary=rotary, pad_token_id=0))
    found, expected = value(head([X, IDS])), oracle(head, X, rotary)
    for b, length in enumerate([5, 3]):
        for i, j in np.ndindex(5, 5):
            if i <= j < length:
                np.testing.assert_allclose(found[b, :, i, j], expected[b, :, i, j], rtol=1e-4)
            else:
                assert (found[b, :, i, j] < -1e4).all()
    other = oracle(head, X, not rotary)
    assert np.abs(other - expected)[0, :, 0, 4].max() > 0.01


@pytest.mark.parametrize("cls", [GlobalPointer, EfficientGlobalPointer])
def test_rotation_knows_distances_alone(cls):
    """The same vectors two places later give the same scores; at other distances they do not."""
    head, plain = (noisy(cls(2, 4, pad_token_id=0, use_rotary=rotary)) for rotary in (True, False))
    shifted = np.concatenate([X[:, :2], X], axis=1)
    ids = np.ones((2, 7), "int32")
    first, later = value(head([X, ids[:, :5]])), value(head([shifted, ids]))[..., 2:, 2:]
    np.testing.assert_allclose(later, first, atol=1e-3)
    same = np.tile(X[:, :1], (1, 5, 1))
    scores = value(head([same, ids[:, :5]]))
    assert np.abs(scores[..., 0, 1] - scores[..., 0, 4]).max() > 0.01
    scores = value(plain([same, ids[:, :5]]))
    np.testing.assert_allclose(scores[..., 0, 1], scores[..., 0, 4], rtol=1e-5)


def test_masks():
    both = value(noisy(GlobalPointer(1, 4, tril=False, pad_token_id=5))([X, IDS]))
    assert (both[0, 0, :4, :4] > -1e4).all()
    assert (both[0, 0, 4] < -1e4).all()
    assert (both[0, 0, :, 4] < -1e4).all()
    assert (both[1] > -1e4).all()


def test_an_efficient_head_is_small():
    """One more kind costs 4 K weights and 3 biases, and not 2 D K and 2 K + 1."""
    sizes = [noisy(EfficientGlobalPointer(n, 4)).count_params() for n in (1, 2)]
    assert sizes[1] - sizes[0] == 4 * 4 + 3
    sizes = [noisy(GlobalPointer(n, 4)).count_params() for n in (1, 2)]
    assert sizes[1] - sizes[0] == 2 * 6 * 4 + 2 * 4 + 1


def test_scores_start_below_zero():
    """And without biases around it."""
    x, ids = X / 10, np.ones((2, 5), "int32")
    for options, start in (({}, -6), ({"initial_score": 1.0}, 1), ({"use_bias": False}, 0)):
        head = GlobalPointer(2, 4, tril=False, pad_token_id=0, **options)
        np.testing.assert_allclose(value(head([x, ids])), np.full((2, 2, 5, 5), start), atol=0.5)
        assert len(head.weights) == (2 if start == 0 else 5)


def test_sublayers_start_differently():
    head = GlobalPointer(1, 4, pad_token_id=0)
    head.build([X.shape, IDS.shape])
    assert np.abs(value(head.query.kernel) - value(head.key.kernel)).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 4), "heads=0 and head_size=4 must be"), ((2, 5), "head_size=5 must be even")],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        GlobalPointer(*arguments)
    if arguments == (2, 5):
        GlobalPointer(*arguments, use_rotary=False)

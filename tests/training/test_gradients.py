"""Gradients of a function, by hand and by differences."""

from __future__ import annotations

import numpy as np
from keras import ops

from bert4keras.training.gradients import value_and_grad

X = np.array([0.5, -1.0, 2.0], "float32")


def cubes(x, y):
    return ops.sum(x**3)


def test_value_and_gradients_by_hand():
    value, (x, y) = value_and_grad(cubes, [ops.convert_to_tensor(X), ops.ones((2,))])
    np.testing.assert_allclose(ops.convert_to_numpy(value), (X**3).sum(), rtol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(x), 3 * X**2, rtol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(y), [0, 0])  # nothing depends on it


def test_a_gradient_is_differentiated_again():
    """d/dx sum((3 x^2)^2) = 36 x^3."""

    def penalty(x):
        gradient = value_and_grad(lambda x: ops.sum(x**3), [x])[1][0]
        return ops.sum(gradient**2)

    _, (found,) = value_and_grad(penalty, [ops.convert_to_tensor(X)])
    np.testing.assert_allclose(ops.convert_to_numpy(found), 36 * X**3, rtol=1e-5)

"""Invertible layers of normalizing flows, with the log-determinants of their Jacobians.

Symbols: B batch, D size of a vector, x data, z = f(x), log_det = log abs(det(dz / dx)), (B,).

    actnorm            z = ((x - m) / d) exp(a) + b          log_det = sum(a - log d)
    affine coupling    x = (u, v);  z = (u, v exp(s(u)) + t(u))       log_det = sum s(u)
    invertible linear  z = W x,  W = P L (U + diag(e))       log_det = sum log abs(e)

m, d: mean and standard deviation of the first training batch. s, t: a network of any kind, since
the inverse v = (z_v - t(u)) exp(-s(u)) needs no inverse of it. P: a fixed permutation, L: unit
lower triangular, U: strictly upper triangular, e: D numbers with fixed signs.

All are float32 or wider under any dtype policy: a log-determinant sums D numbers.

Source: Dinh et al., RealNVP, 2016 (arXiv:1605.08803); Kingma, Dhariwal, Glow, 2018
    (arXiv:1807.03039).
"""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
from keras import ops

from .._serialization import serializable
from .._types import Array, Shape, Tensor


def wide_dtype() -> str:
    """Return the dtype of flows: float64 if that is the default of Keras, else float32."""
    return "float64" if keras.config.floatx() == "float64" else "float32"


class Bijector(keras.layers.Layer):
    """Invertible layer: x (B, D) to z (B, D) and the log-determinant (B,) of dz / dx at x.

    A subclass implements `call` and `inverse`.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**{"dtype": wide_dtype(), **kwargs})

    def call(self, x: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError(f"{type(self).__name__} must implement call().")

    def inverse(self, z: Tensor) -> Tensor:
        """Return x (B, D) from z (B, D)."""
        raise NotImplementedError(f"{type(self).__name__} must implement inverse().")


def _per_row(log_det: Tensor, x: Tensor) -> Tensor:
    """Repeat a scalar log-determinant for each row of x (B, D)."""
    return ops.broadcast_to(log_det, (ops.shape(x)[0],))


@serializable
class ActNorm(Bijector):
    """Scale and shift of each dimension, which start at mean 0 and variance 1 on the first batch.

    The first batch of `fit` sets m and d, which are no trained weights; a and b are trained and
    start at 0. Before that m = 0 and d = 1. A dimension that hardly varies in the first batch gets
    the average standard deviation: its own would multiply whatever later comes into it, in each
    block again.
    """

    def build(self, input_shape: Shape) -> None:
        size = (input_shape[-1],)
        fixed = {"trainable": False}
        self.mean = self.add_weight(shape=size, initializer="zeros", name="mean", **fixed)
        self.deviation = self.add_weight(shape=size, initializer="ones", name="deviation", **fixed)
        self.started = self.add_weight(shape=(), initializer="zeros", name="started", **fixed)
        self.log_scale = self.add_weight(shape=size, initializer="zeros", name="log_scale")
        self.bias = self.add_weight(shape=size, initializer="zeros", name="bias")

    def call(self, x: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        if training:
            self._start(ops.stop_gradient(x))
        scale = ops.exp(self.log_scale) / self.deviation
        z = (x - self.mean) * scale + self.bias
        return z, _per_row(ops.sum(self.log_scale - ops.log(self.deviation)), x)

    def _start(self, x: Tensor) -> None:
        """Set mean and deviation if this is the first batch; one graph for all batches."""
        first = self.started < 0.5
        deviation = ops.std(x, axis=0)
        average = ops.sqrt(ops.mean(ops.square(deviation)))
        average = ops.where(average > 0, average, 1.0)
        deviation = ops.where(deviation < 1e-2 * average, average, deviation)
        for weight, value in ((self.mean, ops.mean(x, axis=0)), (self.deviation, deviation)):
            weight.assign(ops.where(first, value, ops.convert_to_tensor(weight)))
        self.started.assign(ops.ones((), self.started.dtype))

    def inverse(self, z: Tensor) -> Tensor:
        return (z - self.bias) * ops.exp(-self.log_scale) * self.deviation + self.mean


@serializable
class AffineCoupling(Bijector):
    """Affine map of one half of the vector, with scale and shift computed from the other half.

    Args:
        units: size of each hidden layer of the network that computes s and t.
        depth: number of its hidden layers.
        flip: transform the first half, not the second.
        limit: s = limit tanh(r / limit) for an output r of the network, so no factor exceeds
            exp(limit) and log-determinants stay finite far from the data.

    At the start s = t = 0, the identity.
    """

    def __init__(
        self,
        units: int = 256,
        depth: int = 2,
        flip: bool = False,
        limit: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units, self.depth, self.flip, self.limit = units, depth, flip, limit

    def build(self, input_shape: Shape) -> None:
        size = input_shape[-1]
        if size < 2:
            raise ValueError(f"a coupling needs vectors of at least 2 dimensions, not {size}.")
        self.cut = size // 2
        given, changed = self._halves((self.cut, size - self.cut))
        policy = {"dtype": self.dtype_policy}
        self.hidden = [
            keras.layers.Dense(self.units, "relu", name=f"hidden-{k}", **policy)
            for k in range(self.depth)
        ]
        self.last = keras.layers.Dense(
            2 * changed, kernel_initializer="zeros", name="scale-and-shift", **policy
        )
        for layer in (*self.hidden, self.last):
            layer.build((None, given))
            given = layer.units

    def _halves(self, pair: tuple[Any, Any]) -> tuple[Any, Any]:
        """Order a pair of halves: the one that is read, the one that is changed; and back."""
        return (pair[1], pair[0]) if self.flip else pair

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._halves((x[:, : self.cut], x[:, self.cut :]))

    def _scale_and_shift(self, given: Tensor) -> tuple[Tensor, Tensor]:
        for layer in (*self.hidden, self.last):
            given = layer(given)
        raw, shift = ops.split(given, 2, axis=-1)
        return self.limit * ops.tanh(raw / self.limit), shift

    def call(self, x: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        given, changed = self._split(x)
        log_scale, shift = self._scale_and_shift(given)
        changed = changed * ops.exp(log_scale) + shift
        z = ops.concatenate(self._halves((given, changed)), axis=-1)
        return z, ops.sum(log_scale, axis=-1)

    def inverse(self, z: Tensor) -> Tensor:
        given, changed = self._split(z)
        log_scale, shift = self._scale_and_shift(given)
        changed = (changed - shift) * ops.exp(-log_scale)
        return ops.concatenate(self._halves((given, changed)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "depth": self.depth, "flip": self.flip, "limit": self.limit}
        return {**super().get_config(), **own}


@serializable
class InvertibleLinear(Bijector):
    """Invertible matrix, kept as P L (U + diag(e)); the 1 x 1 convolution of Glow without an image.

    It starts as a random rotation.

    Args:
        seed: of the rotation; None: another one each time, unless `keras.utils.set_random_seed`.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = random.randint(0, 2**31 - 1) if seed is None else seed

    def build(self, input_shape: Shape) -> None:
        size = input_shape[-1]
        normal = np.random.default_rng(self.seed).normal(size=(size, size))
        order, lower, upper = _factorize(np.linalg.qr(normal)[0])
        diagonal = np.diag(upper)

        def weight(name: str, value: Array, trainable: bool = True, **kwargs: Any) -> Any:
            return self.add_weight(
                shape=value.shape,
                initializer=lambda shape, dtype: ops.convert_to_tensor(value, dtype),
                trainable=trainable,
                name=name,
                **kwargs,
            )

        self.order = weight("order", order, False, dtype="int32")
        self.back = weight("back", np.argsort(order), False, dtype="int32")
        self.signs = weight("signs", np.sign(diagonal), False)
        self.lower = weight("lower", np.tril(lower, -1))
        self.upper = weight("upper", np.triu(upper, 1))
        self.log_diagonal = weight("log_diagonal", np.log(np.abs(diagonal)))

    def _triangles(self) -> tuple[Tensor, Tensor]:
        """Return L and U + diag(e), each (D, D)."""
        lower = ops.tril(self.lower, -1) + ops.eye(self.lower.shape[0], dtype=self.lower.dtype)
        return lower, ops.triu(self.upper, 1) + ops.diag(self.signs * ops.exp(self.log_diagonal))

    def call(self, x: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        lower, upper = self._triangles()
        z = ops.matmul(ops.matmul(x, ops.transpose(upper)), ops.transpose(lower))
        return ops.take(z, self.order, axis=-1), _per_row(ops.sum(self.log_diagonal), x)

    def inverse(self, z: Tensor) -> Tensor:
        lower, upper = self._triangles()
        columns = ops.transpose(ops.take(z, self.back, axis=-1))
        columns = ops.solve_triangular(lower, columns, lower=True)
        return ops.transpose(ops.solve_triangular(upper, columns, lower=False))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


def _factorize(matrix: Array) -> tuple[Array, Array, Array]:
    """Factorize a matrix (D, D) by Gaussian elimination with row pivots.

    Returns:
        Indices (D,), L and U with matrix = (L U)[indices].
    """
    upper, rows = matrix.copy(), np.arange(len(matrix))
    lower = np.zeros_like(matrix)
    for k in range(len(matrix)):
        pivot = k + int(np.abs(upper[k:, k]).argmax())
        for array in (upper, lower, rows):
            array[[k, pivot]] = array[[pivot, k]]
        lower[k + 1 :, k] = upper[k + 1 :, k] / upper[k, k]
        upper[k + 1 :] -= np.outer(lower[k + 1 :, k], upper[k])
    return np.argsort(rows), lower + np.eye(len(matrix)), upper

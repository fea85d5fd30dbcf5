"""Invertible residual networks: flows of blocks z = x + g(x) with Lip(g) < 1.

Symbols: B batch, D size of a vector, H hidden units, c < 1 the Lipschitz bound of g, J (D, D) the
Jacobian of g at x as the linear map v -> v J, v a row of random signs (D,).

    g(x) = phi(x A + a) C + b,   J = A diag(phi'(x A + a)) C,   A (D, H), C (H, D), phi = ELU

Lip(phi) = 1, so two `LipschitzDense` with bounds 1 and c give Lip(g) <= c. The inverse is the limit
of x <- z - g(x), which converges as c^n.

The log-determinant of I + J is a convergent series, whose traces Hutchinson's estimator needs only
as products of a vector and J:

    log det(I + J) = sum over k >= 1 of (-1)^(k + 1) tr(J^k) / k,    tr(J^k) = E[v J^k v^T]

Two ways to compute it:

- **Roulette**, in `fit`. The series is cut after a random number N of terms, and term k divided by
  P(N >= k), which makes the sum unbiased. N is `terms` plus a geometric number with
  P(N >= terms + j) = c^j, so the variance is finite for any J of norm c. The gradient does not
  run through the loop: d log det(I + J) = tr((I + J)^-1 dJ) = E[w dJ v^T] with the Neumann series
  w = sum over k >= 0 of (-1)^k v J^k, cut in the same way, a constant.
- **Exact**, in `predict` and `evaluate`. det(I + J) = det(I + diag(phi') C A), where C A (H, H) is
  the same for all x, so a determinant costs H^3 and not D^3 (the smaller of both is taken).

Source: Behrmann et al., Invertible residual networks, 2018 (arXiv:1811.00995); Chen et al.,
    Residual flows, 2019 (arXiv:1906.02735).
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from .._serialization import serializable
from .._types import Shape, Tensor
from .bijectors import ActNorm, Bijector
from .flows import Flow
from .lipschitz import LipschitzDense

_INVERSE_STEPS = 1000  # of the inverse; c = 0.98 needs 800 to reach float32


@serializable
class InvertibleResidual(Bijector):
    """Residual block x + g(x), invertible since g has a Lipschitz constant of at most c < 1.

    Args:
        units: H.
        coefficient: c, between 0 and 1. Near 1 a block can do more, and needs more terms.
        terms: number of terms of the series that are always computed in training.

    Raises:
        ValueError: a coefficient outside (0, 1).
    """

    def __init__(self, units: int = 128, coefficient: float = 0.9, terms: int = 4, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 < coefficient < 1:
            raise ValueError(
                f"coefficient={coefficient} must be between 0 and 1, or x + g(x) has no inverse."
            )
        self.units, self.coefficient, self.terms = units, coefficient, terms
        self.generator = keras.random.SeedGenerator()

    def build(self, input_shape: Shape) -> None:
        size, policy = input_shape[-1], {"dtype": self.dtype_policy}
        self.first = LipschitzDense(self.units, name="first", **policy)
        self.last = LipschitzDense(size, bound=self.coefficient, name="last", **policy)
        self.first.build((None, size))
        self.last.build((None, self.units))

    def _hidden(self, x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """Return phi and phi' of the hidden layer, (B, H)."""
        sums = ops.matmul(x, kernel) + self.first.bias
        powers = ops.exp(ops.minimum(sums, 0.0))
        return ops.where(sums > 0, sums, powers - 1), powers

    def call(self, x: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        first, last = self.first.kernel, self.last.kernel
        hidden, slopes = self._hidden(x, first)
        z = x + ops.matmul(hidden, last) + self.last.bias
        if not training:
            return z, _exact_log_det(first, slopes, last)
        uniform = keras.random.uniform(ops.shape(x), dtype=x.dtype, seed=self.generator)
        probe = ops.where(uniform < 0.5, ops.ones_like(x), -ops.ones_like(x))
        return z, self._estimate(first, slopes, last, probe)

    def estimated_log_det(self, x: Tensor, probe: Tensor, terms: int | None = None) -> Tensor:
        """Estimate the log-determinant by its series.

        Args:
            x: (B, D).
            probe: v, (B, D).
            terms: number of terms; None: a random one, as in training.

        Returns:
            (B,); its mean over v is the truncated series, and without `terms` the whole one.
        """
        first = self.first.kernel
        return self._estimate(first, self._hidden(x, first)[1], self.last.kernel, probe, terms)

    def _estimate(
        self, first: Tensor, slopes: Tensor, last: Tensor, probe: Tensor, terms: int | None = None
    ) -> Tensor:
        constant = [ops.stop_gradient(x) for x in (first, slopes, last, probe)]
        value, neumann = self._series(*constant, terms)
        # Its value is that of the series, its gradient that of w J v^T at constant w.
        value, neumann = ops.stop_gradient(value), ops.stop_gradient(neumann)
        surrogate = ops.sum(_push(neumann, first, slopes, last) * probe, axis=-1)
        return value + surrogate - ops.stop_gradient(surrogate)

    def _series(
        self, first: Tensor, slopes: Tensor, last: Tensor, probe: Tensor, terms: int | None
    ) -> tuple[Tensor, Tensor]:
        """Return the sum of (-1)^(k + 1) (v J^k v^T) / k, (B,), and w (B, D)."""
        fixed = self.terms if terms is None else terms
        count, ratio = fixed, 1.0
        if terms is None:
            ratio = self.coefficient
            count = fixed + self._extra_terms()

        def add(k: Tensor, power: Tensor, weight: Tensor, value: Tensor, neumann: Tensor) -> tuple:
            # `power` is v J^(k - 1), `weight` the signed 1 / P(N >= k).
            power = _push(power, first, slopes, last)
            trace = ops.sum(power * probe, axis=-1)
            weight = -weight / ops.where(k > fixed, ratio, 1.0)
            value = value - weight * trace / ops.cast(k, value.dtype)
            return k + 1, power, weight, value, neumann + weight * power

        one = ops.ones((), probe.dtype)
        start = (ops.ones((), "int32"), probe, one, ops.zeros_like(probe[:, 0]), probe)
        *_, value, neumann = ops.while_loop(lambda k, *_: k <= count, add, start)
        return value, neumann

    def _extra_terms(self) -> Tensor:
        """Draw a number with P(number >= j) = c^j; one for the batch, so that no term is wasted."""
        uniform = keras.random.uniform((), dtype="float32", seed=self.generator)
        drawn = ops.log(ops.maximum(1 - uniform, 1e-7)) / math.log(self.coefficient)
        return ops.cast(ops.floor(drawn), "int32")

    def inverse(self, z: Tensor) -> Tensor:
        first, last = self.first.kernel, self.last.kernel
        size = ops.max(ops.abs(z)) if z.shape[0] != 0 else ops.ones((), z.dtype)
        smallest = keras.config.epsilon() * ops.maximum(size, 1.0)

        def step(x: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
            nearer = z - ops.matmul(self._hidden(x, first)[0], last) - self.last.bias
            return nearer, ops.max(ops.abs(nearer - x))

        start = (z, ops.full((), float("inf"), z.dtype))
        return ops.while_loop(lambda x, c: c > smallest, step, start, _INVERSE_STEPS)[0]

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "coefficient": self.coefficient, "terms": self.terms}
        return {**super().get_config(), **own}


def _push(v: Tensor, first: Tensor, slopes: Tensor, last: Tensor) -> Tensor:
    """Return v J, (B, D)."""
    return ops.matmul(ops.matmul(v, first) * slopes, last)


def _exact_log_det(first: Tensor, slopes: Tensor, last: Tensor) -> Tensor:
    """Return log det(I + J) of each row, (B,), from the smaller of two equal determinants."""
    size, units = first.shape
    if units <= size:
        jacobian = slopes[:, :, None] * ops.matmul(last, first)
    else:
        jacobian = ops.matmul(first * slopes[:, None, :], last)
    identity = ops.eye(min(size, units), dtype=jacobian.dtype)
    return ops.slogdet(identity + jacobian)[1]


@serializable
class InvertibleResNet(Flow):
    """Flow of actnorm and invertible residual blocks.

    Unlike couplings a block changes all dimensions at once; its inverse, and so `sample`, iterates.

    Args:
        blocks: number of blocks.
        units, coefficient, terms: as in `InvertibleResidual`.
        dtype: as in `Flow`.

    Source: Behrmann et al., 2018 (arXiv:1811.00995).
    """

    def __init__(
        self,
        blocks: int = 8,
        units: int = 128,
        coefficient: float = 0.9,
        terms: int = 4,
        dtype: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(blocks, dtype, **kwargs)
        self.units, self.coefficient, self.terms = units, coefficient, terms

    def block(self, number: int, **kwargs: Any) -> list[Bijector]:
        return [
            ActNorm(name=f"actnorm-{number}", **kwargs),
            InvertibleResidual(
                self.units, self.coefficient, self.terms, name=f"residual-{number}", **kwargs
            ),
        ]

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "coefficient": self.coefficient, "terms": self.terms}
        return {**super().get_config(), **own}

"""Normalizing flows: exact densities of vectors by an invertible network z = f(x).

    log p(x) = log N(f(x); 0, I) + log abs(det(df / dx)),    x = f^-1(z), z ~ N(0, I), samples

| model | a block |
|---|---|
| `RealNVP` | actnorm, affine coupling of alternating halves |
| `Glow` | actnorm, invertible linear map, affine coupling |
| `InvertibleResNet` | actnorm, x + g(x) with a Lipschitz constant of g below 1 |

The first actnorm standardises the data by its first batch, so vectors of any scale will do.

Source: Dinh et al., RealNVP, 2016 (arXiv:1605.08803); Kingma, Dhariwal, Glow, 2018
    (arXiv:1807.03039); Behrmann et al., Invertible residual networks, 2018 (arXiv:1811.00995).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from .._serialization import serializable
from .._types import Array, Shape, Tensor
from .bijectors import ActNorm, AffineCoupling, Bijector, InvertibleLinear, wide_dtype
from .density import Density

_BATCH_ROWS = 1024  # rows of a batch of `transform` and `sample`


class Flow(Density):
    """Normalizing flow of `blocks` blocks; a subclass says what a block is.

    D is taken from the data. `fit` with `validation_data` and early stopping: a flow on vectors of
    hundreds of dimensions overfits a few thousand of them.

    Args:
        blocks: number of blocks.
        dtype: float32 or wider; None: float32, whatever the dtype policy.

    Attributes:
        size: D; None before the model is built.
        bijectors: the invertible layers, in order.
    """

    def __init__(self, blocks: int = 8, dtype: str | None = None, **kwargs: Any):
        super().__init__(dtype=dtype or wide_dtype(), **kwargs)
        if blocks < 1:
            raise ValueError(f"blocks={blocks} must be at least 1.")
        self.blocks, self.size = blocks, None
        self.bijectors: list[Bijector] = []

    def block(self, number: int, **kwargs: Any) -> list[Bijector]:
        """Return the bijectors of a block.

        Args:
            number: of the block, from 0.
            **kwargs: of each bijector.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement block().")

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(f"{self.name} takes vectors (B, D), not {tuple(input_shape)}.")
        self.size = input_shape[-1]
        policy = {"dtype": self.dtype_policy}
        self.bijectors = [b for k in range(self.blocks) for b in self.block(k, **policy)]
        for bijector in self.bijectors:
            bijector.build((None, self.size))

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        z, log_det = self.forward_and_log_det(x, training)
        log_base = -ops.sum(ops.square(z), axis=-1) / 2 - self.size * math.log(2 * math.pi) / 2
        return -(log_base + log_det)

    def forward_and_log_det(self, x: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        """Return z (B, D) and the log-determinant (B,) of dz / dx at x (B, D)."""
        log_dets = ops.zeros_like(x[:, 0])
        for bijector in self.bijectors:
            x, log_det = bijector(x, training=training)
            log_dets = log_dets + log_det
        return x, log_dets

    def inverse(self, z: Tensor) -> Tensor:
        """Return x (B, D) from z (B, D)."""
        for bijector in reversed(self.bijectors):
            z = bijector.inverse(z)
        return z

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x), natural logarithm, (B,); `-predict(x)` is the same in batches."""
        return -self(x, training=False)

    def transform(self, x: Array) -> Array:
        """Map vectors to the space in which they are Gaussian.

        Args:
            x: (N, D), float.

        Returns:
            (N, D), float32 (or the dtype of the model).
        """
        return self._in_batches(lambda batch: self.forward_and_log_det(batch)[0], x)

    def sample(self, count: int, seed: int | None = None) -> Array:
        """Draw vectors from the model; see `Density.sample`."""
        size = self.size or 0
        return self._in_batches(
            self.inverse, np.random.default_rng(seed).normal(size=(count, size))
        )

    def _in_batches(self, function: Callable[[Tensor], Tensor], x: Array) -> Array:
        if not self.built:
            raise ValueError(f"{self.name} has no weights yet: call fit(x) or build((None, D)).")
        parts = [
            ops.convert_to_numpy(
                function(ops.convert_to_tensor(x[k : k + _BATCH_ROWS], self.dtype))
            )
            for k in range(0, len(x), _BATCH_ROWS)
        ]
        return np.concatenate(parts) if parts else np.zeros(np.shape(x), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "blocks": self.blocks, "dtype": self.dtype}


class _CouplingFlow(Flow):
    """Flow with affine couplings.

    Args:
        blocks: number of blocks; even, so that both halves are changed as often.
        units, depth, limit: as in `AffineCoupling`.
        dtype: as in `Flow`.
    """

    def __init__(
        self,
        blocks: int = 8,
        units: int = 256,
        depth: int = 2,
        limit: float = 1.0,
        dtype: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(blocks, dtype, **kwargs)
        self.units, self.depth, self.limit = units, depth, limit

    def coupling(self, number: int, **kwargs: Any) -> AffineCoupling:
        """Return the coupling of a block, which changes the second half in blocks 0, 2, ..."""
        return AffineCoupling(
            self.units,
            self.depth,
            bool(number % 2),
            self.limit,
            name=f"coupling-{number}",
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "depth": self.depth, "limit": self.limit}
        return {**super().get_config(), **own}


@serializable
class RealNVP(_CouplingFlow):
    """Flow of affine couplings with alternating halves.

    Args:
        blocks: number of couplings.
        units, depth, limit: as in `AffineCoupling`.
        dtype: as in `Flow`.

    Source: Dinh et al., 2016 (arXiv:1605.08803).
    """

    def block(self, number: int, **kwargs: Any) -> list[Bijector]:
        return [ActNorm(name=f"actnorm-{number}", **kwargs), self.coupling(number, **kwargs)]


@serializable
class Glow(_CouplingFlow):
    """Flow of actnorm, invertible linear map and affine coupling.

    Args:
        blocks: number of such blocks.
        units, depth, limit: as in `AffineCoupling`.
        seed: of the first rotation, the next ones take the next numbers; None: at random.
        dtype: as in `Flow`.

    Source: Kingma, Dhariwal, 2018 (arXiv:1807.03039).
    """

    def __init__(self, *args: Any, seed: int | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.seed = seed

    def block(self, number: int, **kwargs: Any) -> list[Bijector]:
        seed = None if self.seed is None else self.seed + number
        return [
            ActNorm(name=f"actnorm-{number}", **kwargs),
            InvertibleLinear(seed, name=f"linear-{number}", **kwargs),
            self.coupling(number, **kwargs),
        ]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}

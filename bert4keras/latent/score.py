"""Denoising score matching: the gradient of a log-density, learnt by predicting noise.

Symbols: B batch, D size of a vector, sigma level of noise, e ~ N(0, I_D), p_sigma the density of
x + sigma e.

A score s(x, sigma) = grad log p_sigma(x) minimises

    E_{x, e, sigma} || sigma s(x + sigma e, sigma) + e ||^2,

with sigma drawn from a ladder of levels (Song and Ermon 2019, arXiv 1907.05600). Only smoothed
densities are learnt: a small sigma shows the data closely, a large one reaches the space between
them. With h = x / sqrt(1 + sigma^2) and a network F, the score is one of

    s(x, sigma) = (F(h, sigma) / sigma - h) / sqrt(1 + sigma^2)          a network
    s(x, sigma) = -grad_x U(x, sigma),  U = |h|^2 / 2 - h . F(h, sigma) / sigma    an energy

Both have the scales of Karras et al. 2022 (arXiv 2206.00364) for data of variance 1: at every level
F sees numbers of size 1, and has to return such numbers. The second form is the gradient of a
function whatever the weights are: U is -log p_sigma up to a constant (Li, Chen and Sommer 2019,
arXiv 1910.07762; Bigdeli et al. 2020, arXiv 2001.02728). The first one is cheaper, and its energy
is a line integral from the origin, exact if s is a gradient:

    U(x, sigma) - U(0, sigma) = -int_0^1 s(t x, sigma) . x dt.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from .._serialization import serializable
from .._types import Array, Tensor
from ..training.gradients import value_and_grad
from .density import Density

_NODES = 8  # of the quadrature of a line integral; exact for polynomials of degree 15


@serializable
class ScoreModel(Density):
    """Density of vectors known by the gradient of its logarithm; samples by Langevin steps.

    Train it on vectors of mean 0 and variance about 1, such as those of `Whitening`.

    Args:
        form: "energy" (the score is the gradient of a network) or "score" (it is a network).
        smallest, largest: ends of the ladder of noise levels, in units of the data's deviation.
        levels: their number; they are spaced geometrically.
        energy_level: noise at which `call` gives the energy; None: the smallest.
        units: width of the network.
        blocks: its number of residual blocks.

    Call arguments:
        x: (B, D).
        training: True: return the denoising losses of the vectors in place of their energies.

    Example:
        >>> density = ScoreModel()
        >>> density.compile(keras.optimizers.Adam(1e-3))
        >>> density.fit(vectors, epochs=50)
        >>> density.predict(vectors), density.sample(100)
    """

    def __init__(
        self,
        form: str = "energy",
        smallest: float = 0.1,
        largest: float = 10.0,
        levels: int = 10,
        energy_level: float | None = None,
        units: int = 256,
        blocks: int = 2,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if form not in ("energy", "score"):
            raise ValueError(f"form={form!r} must be 'energy' or 'score'.")
        if not 0 < smallest <= largest or levels < 1:
            raise ValueError(
                f"smallest={smallest}, largest={largest}, levels={levels}: the noise needs "
                "0 < smallest <= largest, and at least one level."
            )
        if energy_level is not None and energy_level <= 0:
            raise ValueError(f"energy_level={energy_level} must be above 0, or None.")
        self.form, self.smallest, self.largest, self.levels = form, smallest, largest, levels
        self.energy_level, self.units, self.blocks = energy_level, units, blocks
        self.sigmas = np.geomspace(largest, smallest, levels).astype("float32")
        self.seed_generator = keras.random.SeedGenerator()
        activation = "silu"  # smooth: the energy form needs its second derivative
        self.first = keras.layers.Dense(units, name="first")
        self.inner = [
            keras.Sequential(
                [
                    keras.layers.Activation(activation),
                    keras.layers.Dense(units),
                    keras.layers.Activation(activation),
                    keras.layers.Dense(units),
                ],
                name=f"block-{index}",
            )
            for index in range(blocks)
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        size = input_shape[-1]
        self.last = keras.layers.Dense(size, kernel_initializer="zeros", name="last")
        self.first.build((None, size + 1))
        for block in self.inner:
            block.build((None, self.units))
        self.last.build((None, self.units))
        self.built = True

    def _network(self, h: Tensor, sigma: Tensor) -> Tensor:
        """Return F(h, sigma), (B, D), of h (B, D) and sigma (B, 1)."""
        y = self.first(ops.concatenate([h, ops.log(sigma) / 4], axis=-1))
        for block in self.inner:
            y = y + block(y)
        return ops.cast(self.last(ops.silu(y)), "float32")

    def score(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """Return s(x, sigma), float32 (B, D).

        Args:
            x: (B, D).
            sigma: level of noise; a number, or one for each vector, (B,).
        """
        x, sigma, scale = self._scaled(x, sigma)
        if self.form == "score":
            return (self._network(x / scale, sigma) / sigma - x / scale) / scale
        total = lambda x: ops.sum(self._potential(x, sigma, scale))  # noqa: E731
        return -value_and_grad(total, [x])[1][0]

    def energy(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """Return U(x, sigma), float32 (B,); comparable among vectors at one level of noise.

        Args:
            x, sigma: as in `score`.
        """
        x, sigma, scale = self._scaled(x, sigma)
        if self.form == "energy":
            return self._potential(x, sigma, scale)
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        total = ops.zeros_like(x[:, 0])
        for node, weight in zip(nodes, weights, strict=True):
            slope = self.score(x * float((node + 1) / 2), sigma)
            total = total - float(weight / 2) * ops.sum(slope * x, axis=-1)
        return total

    def _scaled(self, x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """Return x in float32, and sigma and sqrt(1 + sigma^2), (B, 1) each."""
        x = ops.cast(x, "float32")
        sigma = ops.reshape(ops.cast(sigma, "float32"), (-1, 1)) * ops.ones_like(x[:, :1])
        return x, sigma, ops.sqrt(1 + ops.square(sigma))

    def _potential(self, x: Tensor, sigma: Tensor, scale: Tensor) -> Tensor:
        h = x / scale
        return ops.sum(h * (h / 2 - self._network(h, sigma) / sigma), axis=-1)

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        if training:
            return self.denoising_loss(x)
        return self.energy(x, self.energy_level or self.smallest)

    def denoising_loss(self, x: Tensor) -> Tensor:
        """Return |sigma s(x + sigma e, sigma) + e|^2 / D at one random sigma and e each, (B,)."""
        x = ops.cast(x, "float32")
        count = ops.shape(x)[0]
        level = keras.random.randint((count,), 0, self.levels, seed=self.seed_generator)
        sigma = ops.take(ops.convert_to_tensor(self.sigmas), level)[:, None]
        noise = keras.random.normal(ops.shape(x), dtype="float32", seed=self.seed_generator)
        error = sigma * self.score(x + sigma * noise, sigma) + noise
        return ops.mean(ops.square(error), axis=-1)

    def compute_loss(
        self,
        x: Tensor | None = None,
        y: Tensor | None = None,
        y_pred: Tensor | None = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Return the mean denoising loss, in `evaluate` too, where `call` gives energies."""
        losses = y_pred if training else self.denoising_loss(x)
        return super().compute_loss(x, y, losses, sample_weight, training)

    def sample(
        self, count: int, seed: int | None = None, steps: int = 50, step_size: float = 0.5
    ) -> Array:
        """Draw vectors by annealed Langevin steps, from the largest noise to the smallest.

        At each level x <- x + a s(x, sigma) + sqrt(2 a) z, with a = step_size sigma^2. What noise
        is left at the end is taken off by x + sigma^2 s(x, sigma), the mean of the data given x
        (Tweedie's formula; Jolicoeur-Martineau et al. 2020, arXiv 2009.05475).

        Args:
            count, seed: as in `Density`.
            steps: number of steps at a level.
            step_size: see above; it must be below 1.
        """
        if not self.built:
            raise ValueError("the ScoreModel has no weights yet: call fit() before sample().")
        random = np.random.default_rng(seed)
        draw = lambda: random.standard_normal((count, self.last.units)).astype("float32")  # noqa: E731
        scorer = _Scorer(self)
        score = lambda x, sigma: scorer.predict_on_batch([x, np.full(count, sigma, "float32")])  # noqa: E731
        x, last = float(self.sigmas[0]) * draw(), float(self.sigmas[-1])
        for sigma in self.sigmas.tolist():
            step = step_size * sigma**2
            for _ in range(steps):
                x = x + step * score(x, sigma) + (2 * step) ** 0.5 * draw()
        return x + last**2 * score(x, last)

    def get_config(self) -> dict[str, Any]:
        names = ("form", "smallest", "largest", "levels", "energy_level", "units", "blocks")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class _Scorer(keras.Model):
    """Model of x (B, D) and sigma (B,) to scores, whose `predict_on_batch` is compiled."""

    def __init__(self, model: ScoreModel):
        super().__init__(name="scorer")
        self.model = model

    def call(self, inputs: list[Tensor]) -> Tensor:
        return self.model.score(*inputs)

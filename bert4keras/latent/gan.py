"""Adversarial models of vectors, both players trained in one pass by plain `compile` and `fit`.

Let L(x) be the loss by which a generator is trained through the critic, and x = G(z). The term

    L(x) - L(sg(x))             sg: the same value, but a constant for the gradient

has the value 0. Its gradient is that of L for all weights behind x, the generator's. For the
critic's weights it is 0, since both parts have the same. So it can be added to the critic's own
loss, and one optimizer step trains two opponents (https://kexue.fm/archives/6387). This needs a
critic that computes the same twice: one with dropout must be called without it in this term.

Symbols: B batch, D size of a vector x, n size of a noise vector z ~ N(0, I).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .._serialization import serializable
from .._types import Array, Tensor
from ..losses.precision import float32_or_wider
from ..training.gradients import value_and_grad
from .density import Density
from .divergences import Divergence, get_divergence
from .networks import mlp


def player_term(loss: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Return loss(*tensors) - loss(*constants): value 0, no gradient for weights inside the loss.

    Args:
        loss: function of the tensors that returns a float scalar, the same for the same tensors.
        tensors: outputs of the player that this loss trains.
    """
    return loss(*tensors) - loss(*map(ops.stop_gradient, tensors))


def adversarial_loss(
    divergence: Divergence, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor
) -> Tensor:
    """Return one scalar that trains a critic, and against it whatever made the fake samples.

    Its value is the critic's loss, minus the bound of the divergence. Weights behind `real` are
    trained on the critic's side.

    Args:
        divergence: the divergence of real from fake.
        critic: function from samples to v, deterministic.
        real, fake: samples, (B, ...).
    """
    bound = divergence.bound(critic(real), critic(ops.stop_gradient(fake)))
    return player_term(lambda x: divergence.generator_loss(critic(x)), fake) - bound


def gradient_penalty(score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the mean over the rows of |d score / d x|^2, a float32 scalar.

    Args:
        score: function (B, D) -> (B,), each row by itself.
        x: (B, D), points at which the score should be flat.

    Source: Mescheder et al., Which Training Methods for GANs do actually Converge, 2018
    (arXiv:1801.04406), where x are data.
    """
    _, (gradient,) = value_and_grad(lambda x: ops.sum(ops.cast(score(x), "float32")), [x])
    return ops.mean(ops.sum(ops.square(ops.cast(gradient, "float32")), axis=-1))


@serializable
class GAN(Density):
    """Generative adversarial network for vectors.

    The energy is minus the critic's output v. The best v of an f-divergence is a function of
    p(x) / q(x), with q the density of generated vectors, so it is constant once q = p: to tell
    known from unknown vectors take `EnergyGAN`. The reported loss is the
    critic's. Vectors should be scaled to a variance of about 1 in each coordinate.

    Args:
        latent_size: n; None: D, at most 64.
        hidden: sizes of the hidden layers of both players.
        divergence: name in `DIVERGENCES`.
        penalty: weight of the gradient penalty on data, zero-centred.

    Example:
        >>> gan = GAN(divergence="js")
        >>> gan.compile(keras.optimizers.Adam(1e-3, beta_1=0.5))
        >>> gan.fit(vectors, epochs=100)
        >>> gan.sample(10)
    """

    def __init__(
        self,
        latent_size: int | None = None,
        hidden: Sequence[int] = (256, 256),
        divergence: str = "gan",
        penalty: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if latent_size is not None and latent_size < 1:
            raise ValueError(f"latent_size={latent_size} must be at least 1.")
        self.divergence = get_divergence(divergence)
        self.latent_size, self.hidden, self.penalty = latent_size, tuple(hidden), penalty
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.size = int(input_shape[-1] or 0)
        self.noise_size = self.latent_size or min(self.size, 64)
        self.generator = self.network("generator", self.noise_size, self.size)
        self.critic = self.network("critic", *self.critic_sizes())

    def network(self, name: str, inputs: int, outputs: int) -> keras.Sequential:
        """Return a built network of dense layers."""
        network = mlp((*self.hidden, outputs), name)
        network.build((None, inputs))
        return network

    def critic_sizes(self) -> tuple[int, int]:
        """Return the number of inputs and outputs of the critic."""
        return self.size, 1

    def score(self, x: Tensor) -> Tensor:
        """Return the critic's output v of vectors (B, D): (B,), high for data."""
        return self.critic(x)[:, 0]

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        return -ops.cast(self.score(x), "float32")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if sample_weight is not None:
            raise ValueError(
                f"{type(self).__name__} takes no sample_weight: repeat vectors that count more."
            )
        noise = (ops.shape(x)[0], self.noise_size)
        z = keras.random.normal(noise, dtype="float32", seed=self.seed_generator)
        loss = self.loss_of(x, z) + self.penalty * self.critic_penalty(x)
        for extra in self.losses:
            loss = loss + ops.cast(extra, loss.dtype)
        return loss

    def critic_penalty(self, x: Tensor) -> Tensor:
        """Return the gradient penalty of the critic at data (B, D), a scalar."""
        return gradient_penalty(self.score, x)

    def loss_of(self, x: Tensor, z: Tensor) -> Tensor:
        """Return the loss of both players, without penalty, a float32 scalar.

        Args:
            x: data (B, D).
            z: noise (B, n).
        """
        return adversarial_loss(self.divergence, self.score, x, self.generator(z))

    def sample(self, count: int, seed: int | None = None) -> Array:
        return self.generate(self.draw_noise(count, seed))

    def generate(self, z: Array) -> Array:
        """Return G(z), float32 (B, D), of noise vectors (B, n)."""
        return ops.convert_to_numpy(ops.cast(self.generator(z), "float32"))

    def draw_noise(self, count: int, seed: int | None = None) -> Array:
        """Draw noise vectors z, float32 (count, n), the same on every backend."""
        if not self.built:
            raise ValueError(f"{type(self).__name__} knows no size of vectors before `fit`.")
        return np.random.default_rng(seed).normal(size=(count, self.noise_size)).astype("float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "latent_size": self.latent_size,
            "hidden": self.hidden,
            "divergence": self.divergence.name,
            "penalty": self.penalty,
        }


def _standardize(x: Tensor) -> Tensor:
    """Return (x - mean) / std over the last axis, float32 or wider, of the same shape."""
    x = float32_or_wider(x)
    centred = x - ops.mean(x, axis=-1, keepdims=True)
    return centred * ops.rsqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + 1e-8)


def code_correlation(z: Tensor, code: Tensor) -> Tensor:
    """Return the mean over the rows of the Pearson correlation of noise and code, a scalar.

    Args:
        z, code: (B, n), float.
    """
    return ops.mean(_standardize(z) * _standardize(code))


@serializable
class OGAN(GAN):
    """O-GAN: the critic E(x) has n outputs and is an encoder too.

        v(x) = mean of E(x)          code(x) = (E(x) - mean) / std
        loss of both players: - correlation * rho(z, code(G(z)))

    with rho Pearson's correlation. Mean and code are independent coordinates of E(x), so judging
    and encoding do not disturb each other, at no cost.

    Args:
        latent_size, hidden, divergence, penalty: of `GAN`.
        correlation: weight of rho, lambda in the source.

    Source: Su, O-GAN: Extremely Concise Approach for Auto-Encoding Generative Adversarial Networks,
    2019 (arXiv:1903.01931); https://kexue.fm/archives/6409.
    """

    def __init__(
        self,
        latent_size: int | None = None,
        hidden: Sequence[int] = (256, 256),
        divergence: str = "gan",
        penalty: float = 1.0,
        correlation: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(latent_size, hidden, divergence, penalty, **kwargs)
        self.correlation = correlation

    def critic_sizes(self) -> tuple[int, int]:
        return self.size, self.noise_size

    def score(self, x: Tensor) -> Tensor:
        return ops.mean(self.critic(x), axis=-1)

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (B, n) of vectors (B, D); each has mean 0 and variance 1."""
        return _standardize(self.critic(x))

    def loss_of(self, x: Tensor, z: Tensor) -> Tensor:
        fake = self.generator(z)
        rho = code_correlation(z, self.critic(fake))
        return adversarial_loss(self.divergence, self.score, x, fake) - self.correlation * rho

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "correlation": self.correlation}

"""Adversaries in place of the Kullback-Leibler term of a VAE: on codes (AAE) and on pairs (ALI).

With data distribution p(x), prior p(z), encoder q(z|x) and decoder p(x|z), a VAE minimises
KL(p(x) q(z|x) || p(z) p(x|z)). An adversarial autoencoder keeps the reconstruction and replaces the
divergence of the codes' distribution from the prior by one that a critic estimates; ALI has no
reconstruction at all and lets a critic judge the pairs (x, z) of both sides.

Source: https://kexue.fm/archives/5716; Makhzani et al., Adversarial Autoencoders, 2015
(arXiv:1511.05644); Dumoulin et al., Adversarially Learned Inference, 2016 (arXiv:1606.00704), in
the form with a deterministic encoder: Donahue et al., Adversarial Feature Learning, 2016
(arXiv:1605.09782).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from .._serialization import serializable
from .._types import Tensor
from ..losses.precision import float32_or_wider
from .divergences import get_divergence
from .gan import GAN, adversarial_loss, gradient_penalty, player_term
from .networks import mlp


@serializable
class AdversarialPrior(keras.layers.Layer):
    """Codes (B, n), unchanged, which training pulls to the distribution N(0, I).

    Put it behind the encoder of any autoencoder, whose plain `compile` and `fit` then train an
    adversarial autoencoder: the layer adds the loss of both players.

    Args:
        hidden: sizes of the critic's hidden layers.
        divergence: name in `DIVERGENCES`.
        penalty: weight of the gradient penalty at samples of the prior.
        weight: weight of the added loss.

    Example:
        >>> code = AdversarialPrior()(keras.layers.Dense(8)(hidden))
        >>> model = keras.Model(x, decoder(code))
        >>> model.compile("adam", "mse")
    """

    def __init__(
        self,
        hidden: Sequence[int] = (64, 64),
        divergence: str = "gan",
        penalty: float = 0.1,
        weight: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.divergence = get_divergence(divergence)
        self.hidden, self.penalty, self.weight = tuple(hidden), penalty, weight
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.critic = mlp((*self.hidden, 1), "critic")
        self.critic.build((None, input_shape[-1]))

    def call(self, z: Tensor, training: bool | None = None) -> Tensor:
        if training:
            prior = keras.random.normal(ops.shape(z), dtype=z.dtype, seed=self.seed_generator)
            loss = adversarial_loss(self.divergence, self.critic, prior, z)
            loss = loss + self.penalty * gradient_penalty(self.critic, prior)
            self.add_loss(self.weight * loss)
        return z

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden": self.hidden,
            "divergence": self.divergence.name,
            "penalty": self.penalty,
            "weight": self.weight,
        }


@serializable
class ALI(GAN):
    """Adversarially learned inference: the critic tells pairs (x, E(x)) from pairs (G(z), z).

    Encoder and generator both work against it. Once it cannot tell the pairs apart, E and G are
    inverse to each other, although no reconstruction was ever asked for.

    Args:
        latent_size, hidden, divergence, penalty: of `GAN`.
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        super().build(input_shape)
        self.encoder = self.network("encoder", self.size, self.noise_size)

    def critic_sizes(self) -> tuple[int, int]:
        return self.size + self.noise_size, 1

    def score(self, x: Tensor) -> Tensor:
        return self.pair_score(self.data_pairs(x))

    def data_pairs(self, x: Tensor) -> Tensor:
        """Return x and E(x) side by side, (B, D + n)."""
        return ops.concatenate([x, self.encoder(x)], axis=-1)

    def pair_score(self, pairs: Tensor) -> Tensor:
        """Return the critic's output v of pairs (B, D + n): (B,)."""
        return self.critic(pairs)[:, 0]

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes E(x), (B, n), of vectors (B, D)."""
        return self.encoder(x)

    def critic_penalty(self, x: Tensor) -> Tensor:
        return gradient_penalty(self.pair_score, ops.stop_gradient(self.data_pairs(x)))

    def loss_of(self, x: Tensor, z: Tensor) -> Tensor:
        real = self.data_pairs(x)
        fake = ops.concatenate([self.generator(z), z], axis=-1)

        def encoder_loss(pairs: Tensor) -> Tensor:
            return ops.mean(self.divergence.fake(float32_or_wider(self.pair_score(pairs))))

        loss = adversarial_loss(self.divergence, self.pair_score, ops.stop_gradient(real), fake)
        return loss + player_term(encoder_loss, real)

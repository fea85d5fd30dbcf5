"""Variational autoencoder of vectors.

Symbols: B batch, D size of a vector x, L of a code z, S codes drawn for a vector.

    prior      p(z) = N(0, I)
    decoder    p(x|z) = N(f(z), v)
    encoder    q(z|x) = N(mu(x), s^2(x))
    ELBO(x) = E_q log p(x|z) - KL(q(z|x) | p(z)) <= log p(x)

f and (mu, log s^2) are dense networks, v is a variance for each dimension. The vectors are first
brought to the mean 0 and variance 1 of the first batch of `fit` by an `ActNorm`, which stays as it
is afterwards; its log-determinant is part of log p(x).

Source: Kingma and Welling, Auto-Encoding Variational Bayes, 2014 (arXiv:1312.6114);
https://kexue.fm/archives/5343.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .._serialization import serializable
from .._types import Array, Shape, Tensor
from ..optimizers.schedules import LearningRate
from .bijectors import ActNorm
from .density import Density
from .networks import mlp
from .sampling import Annealing, GaussianSampling, gaussian_kl
from .vae_metrics import active_units, importance_weighted_bound, mutual_information

_BATCH_SIZE = 256  # vectors of a batch in `log_prob` and `diagnostics`


@serializable
class VAE(Density):
    """Variational autoencoder; the energy of a vector is its negative ELBO.

    In training the noise is new for each vector and batch, and KL annealing and free bits apply.
    Otherwise the energy is a mean over codes with the same noise for all vectors, so it is a
    function of the vector only.

    Args:
        latent_size: L.
        hidden: sizes of the encoder's hidden layers; those of the decoder are reversed.
        variance: v of normalised vectors, if it is fixed; None: learnt for each dimension.
        kl_weight: factor of the KL in training: a number, or a schedule (annealing), as in
            `Annealing`.
        free_bits: nats of a dimension's KL that cost nothing in training, see `gaussian_kl`.
        samples: S, codes drawn for an energy; even.
        seed: of the noise.

    Raises:
        ValueError: a variance that is not above 0, no dimension, or an odd number of samples.

    Example:
        >>> vae = VAE(latent_size=16, kl_weight=PiecewiseLinear(1.0, {1000: 1.0}))
        >>> vae.compile(keras.optimizers.Adam(1e-3))
        >>> vae.fit(vectors, epochs=20)
        >>> vae.diagnostics(others)
    """

    def __init__(
        self,
        latent_size: int = 32,
        hidden: Sequence[int] = (256,),
        variance: float | None = None,
        kl_weight: LearningRate = 1.0,
        free_bits: float = 0.0,
        samples: int = 16,
        seed: int | None = 0,
        **kwargs: Any,
    ):
        super().__init__(dtype="float32", **kwargs)
        if variance is not None and not variance > 0:
            raise ValueError(f"variance={variance!r} must be above 0, or None to learn it.")
        if latent_size < 1:
            raise ValueError(f"latent_size={latent_size} must be at least 1.")
        if samples < 2 or samples % 2:
            raise ValueError(f"samples={samples} must be 2, 4, 6, ...: half of them mirror others.")
        self.latent_size, self.hidden, self.variance = latent_size, tuple(hidden), variance
        self.free_bits, self.samples, self.seed = free_bits, samples, seed
        self.sampling = GaussianSampling(seed, name="sampling")
        self.annealing = Annealing(kl_weight, name="kl_weight")

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(f"{self.name} takes vectors (B, D), not {tuple(input_shape)}.")
        self.size = input_shape[-1]
        self.norm = ActNorm(name="norm")
        self.norm.build((None, self.size))
        for weight in (self.norm.log_scale, self.norm.bias):
            weight.trainable = False  # or `variance` would be relative to a scale that is learnt
        self.encoder = mlp((*self.hidden, 2 * self.latent_size), "encoder")
        self.encoder.build((None, self.size))
        self.decoder = mlp((*reversed(self.hidden), self.size), "decoder")
        self.decoder.build((None, self.latent_size))
        self.log_variance = self.add_weight(
            shape=(self.size,),
            initializer=keras.initializers.Constant(math.log(self.variance or 1.0)),
            trainable=self.variance is None,
            name="log_variance",
        )

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        y, log_det = self.norm(x, training=training)
        mean, log_var = self._posterior(y)
        if training:
            z = self.sampling([mean, log_var], training=True)[None]
            kl = self.annealing(gaussian_kl(mean, log_var, self.free_bits), training=True)
        else:
            z = mean + ops.exp(log_var / 2) * self._fixed_noise()
            kl = gaussian_kl(mean, log_var)
        return kl - ops.mean(self._log_likelihood(y, z), axis=0) - log_det

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and log s^2, (B, L) each, of vectors (B, D)."""
        return self._posterior(self.norm(x)[0])

    def decode(self, z: Tensor) -> Tensor:
        """Return the mean of the vectors (B, D) of codes (B, L)."""
        return self.norm.inverse(self._decoded(z))

    def log_prob(
        self, x: Array, samples: int = 64, seed: int = 0, batch_size: int = _BATCH_SIZE
    ) -> Array:
        """Return the importance-weighted bound of log p(x), natural logarithm.

        Args:
            x: (N, D).
            samples: K, codes for each vector; the bound rises with it to log p(x).
            seed: of the codes' noise, which is another for each vector.
            batch_size: vectors at a time.

        Returns:
            float32 (N,).
        """
        logs = self._log_weights(x, samples, seed, batch_size)
        return importance_weighted_bound(logs).astype("float32")

    def diagnostics(self, x: Array, samples: int = 64, seed: int = 0) -> dict[str, float]:
        """Describe how the codes of vectors (N, D) are used; see `vae_metrics`.

        Returns:
            Means over the vectors: "elbo", "importance_weighted" (the bound of log p(x) with
            `samples` codes), "kl", "mutual_information", and the number of "active_units".
        """
        codes = [self.encode(rows) for rows in self._batches(x, _BATCH_SIZE)]
        mean, log_var = (
            np.concatenate([ops.convert_to_numpy(part) for part in parts])
            for parts in zip(*codes, strict=True)
        )
        logs = self._log_weights(x, samples, seed, _BATCH_SIZE)
        return {
            "elbo": float(logs.mean()),
            "importance_weighted": float(importance_weighted_bound(logs).mean()),
            "kl": float(np.mean(ops.convert_to_numpy(gaussian_kl(mean, log_var)))),
            "mutual_information": mutual_information(mean, log_var, seed),
            "active_units": active_units(mean),
        }

    def sample(self, count: int, seed: int | None = None) -> Array:
        """Draw vectors from the model; see `Density.sample`."""
        rng = np.random.default_rng(seed)
        z, noise = (_normal(rng, count, size) for size in (self.latent_size, self.size))
        y = self._decoded(z) + ops.exp(self.log_variance / 2) * noise
        return ops.convert_to_numpy(self.norm.inverse(y))

    def _posterior(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and log s^2 of normalised vectors."""
        both = ops.cast(self.encoder(y), "float32")
        return both[:, : self.latent_size], both[:, self.latent_size :]

    def _decoded(self, z: Tensor) -> Tensor:
        """Return f(z), (B, D), of codes (B, L)."""
        return ops.cast(self.decoder(z), "float32")

    def _log_likelihood(self, y: Tensor, z: Tensor) -> Tensor:
        """Return log p(y|z), (S, B), of normalised vectors (B, D) and codes (S, B, L)."""
        found = self._decoded(ops.reshape(z, (-1, self.latent_size)))
        difference = ops.reshape(found, (-1, *ops.shape(y))) - y
        log_variance = ops.convert_to_tensor(self.log_variance)
        squares = ops.square(difference) * ops.exp(-log_variance)
        return -ops.sum(squares + log_variance + math.log(2 * math.pi), axis=-1) / 2

    def _log_weights(self, x: Array, samples: int, seed: int, batch_size: int) -> Array:
        """Return log p(x, z) - log q(z|x), (S, N), of codes with other noise for each vector."""
        rng, found = np.random.default_rng(seed), []
        for rows in self._batches(x, batch_size):
            y, log_det = self.norm(rows)
            mean, log_var = self._posterior(y)
            noise = ops.transpose(_normal(rng, len(rows), samples, self.latent_size), (1, 0, 2))
            z = mean + ops.exp(log_var / 2) * noise
            log_prior = -ops.sum(ops.square(z), axis=-1) / 2
            log_posterior = -ops.sum(ops.square(noise) + log_var, axis=-1) / 2
            logs = self._log_likelihood(y, z) + log_det + log_prior - log_posterior
            found.append(ops.convert_to_numpy(logs))
        return np.concatenate(found, axis=1)

    def _fixed_noise(self) -> Tensor:
        """Return noise (S, 1, L) with the mean 0 and the variance 1 that noise has on average."""
        rng = np.random.default_rng(self.seed)
        half = rng.normal(size=(self.samples // 2, 1, self.latent_size))
        half /= np.sqrt(np.mean(half**2, axis=0))
        return ops.convert_to_tensor(np.concatenate([half, -half]), "float32")

    def _batches(self, x: Array, size: int) -> list[Tensor]:
        x = np.asarray(x, "float32")
        return [ops.convert_to_tensor(x[k : k + size]) for k in range(0, len(x), size)]

    def get_config(self) -> dict[str, Any]:
        names = ("latent_size", "hidden", "variance", "free_bits", "samples", "seed")
        options = {name: getattr(self, name) for name in names}
        options["kl_weight"] = self.annealing.get_config()["schedule"]
        return {**super().get_config(), **options}


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    """Draw from N(0, 1) by numpy, the same numbers on each backend."""
    return ops.convert_to_tensor(rng.normal(size=shape), "float32")

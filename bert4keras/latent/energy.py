"""Energy model of vectors with a generator of high entropy, and Langevin steps.

An energy U defines a density proportional to e^-U(x). Maximum likelihood lowers U on data and
raises it on samples of that density. A generator gives the samples, x = G(z) + noise e with z and e
from N(0, I). It minimises E[U(x)] - H(x): up to a constant, the divergence of the distribution of
x from the density. Without the entropy H it would fall into one minimum of U. As the noise
has a fixed size, H(x) is the mutual information I(x, z) plus a constant, and a posterior q(z | x),
a normal distribution whose mean and variances a network gives, bounds it from below:

    I(x, z) >= E[log q(z | x) - log N(z; 0, I)]

    loss of U:         E_data[U] - E_G[U] + penalty E_data |grad U|^2
    loss of G and q:   E_G[U] - entropy * the bound

The penalty, on data only, makes minima of U there. (The source bounds I by a Jensen-Shannon
critic. That bound cannot exceed log 2, which a generator without noise always reaches; then U of
a good generator becomes flat and tells nothing.)

Source: Kumar, Goyal, Courville, Bengio, Maximum Entropy Generators for Energy-Based Models, 2019
(arXiv:1901.08508); https://kexue.fm/archives/6316 and 6331. The bound: Barber and Agakov, The IM
Algorithm, 2003.
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
from .gan import GAN, adversarial_loss


def langevin(
    gradient: Callable[[Tensor], Tensor],
    start: Array | Tensor,
    steps: int,
    step_size: float,
    seed: int | None = None,
) -> Array:
    """Draw from a density proportional to e^-U by Langevin steps of a fixed size.

        x <- x - step_size / 2 * grad U(x) + sqrt(step_size) * N(0, I)

    Steps of finite size have an error: for U = k/2 x^2 the variance is 1 / (k (1 - step_size k/4)),
    not 1 / k.

    Args:
        gradient: function from x (B, D) to grad U (B, D); minus the score.
        start: (B, D), float.
        steps: number of steps.
        step_size: size of a step.
        seed: the same seed draws the same numbers; None: others each time.

    Returns:
        float32 (B, D).
    """
    rng = np.random.default_rng(seed)
    x = ops.convert_to_tensor(start, "float32")
    scale = float(step_size) ** 0.5
    for _ in range(steps):
        noise = ops.convert_to_tensor(scale * rng.standard_normal(tuple(x.shape), "float32"))
        x = x - step_size / 2 * ops.cast(gradient(x), "float32") + noise
    return ops.convert_to_numpy(x)


@serializable
class EnergyGAN(GAN):
    """Energy model of vectors: `call(x)` is U(x), low for data, high elsewhere.

    Vectors should be scaled to a variance of about 1 in each coordinate.

    Args:
        latent_size, hidden: of `GAN`.
        divergence: "wasserstein" gives the losses above; others bound what U can reach.
        penalty: weight of |grad U|^2 on data.
        entropy: weight of the entropy of generated vectors.
        noise: standard deviation of the noise on them, in units of the data.

    Example:
        >>> energy = EnergyGAN()
        >>> energy.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
        >>> energy.fit(vectors, epochs=50)
        >>> novel = energy.predict(others) > np.quantile(energy.predict(vectors), 0.95)
    """

    def __init__(
        self,
        latent_size: int | None = None,
        hidden: Sequence[int] = (256, 256),
        divergence: str = "wasserstein",
        penalty: float = 1.0,
        entropy: float = 1.0,
        noise: float = 0.1,
        **kwargs: Any,
    ):
        super().__init__(latent_size, hidden, divergence, penalty, **kwargs)
        self.entropy, self.noise = entropy, noise

    def build(self, input_shape: Sequence[int | None]) -> None:
        super().build(input_shape)
        self.posterior = self.network("posterior", self.size, 2 * self.noise_size)

    def loss_of(self, x: Tensor, z: Tensor) -> Tensor:
        fake = self.generator(z)
        noise = keras.random.normal(ops.shape(x), dtype="float32", seed=self.seed_generator)
        fake = fake + self.noise * ops.cast(noise, fake.dtype)
        adversarial = adversarial_loss(self.divergence, self.score, x, fake)
        return adversarial - self.entropy * self.information(fake, z)

    def information(self, x: Tensor, z: Tensor) -> Tensor:
        """Return the mean of log q(z | x) - log N(z; 0, I), a lower bound of the information.

        Args:
            x, z: (B, D) and (B, n), row by row a pair.
        """
        mean, log_variance = ops.split(float32_or_wider(self.posterior(x)), 2, axis=-1)
        log_variance = ops.clip(log_variance, -10.0, 2.0)
        square = ops.square(z - mean) * ops.exp(-log_variance)
        return ops.mean(ops.sum(ops.square(z) - square - log_variance, axis=-1)) / 2

    def sample(
        self, count: int, seed: int | None = None, steps: int = 0, step_size: float = 0.01
    ) -> Array:
        """Draw vectors from the generator, after Langevin steps on U(G(z)) in the space of z.

        Args:
            count, seed: of `Density.sample`.
            steps, step_size: of `langevin`.
        """
        z = self.draw_noise(count, seed)
        if steps:
            z = langevin(self.latent_gradient, z, steps, step_size, seed)
        return self.generate(z)

    def latent_gradient(self, z: Tensor) -> Tensor:
        """Return the gradient of U(G(z)) by z, (B, n), a constant."""
        _, (gradient,) = value_and_grad(lambda z: ops.sum(self(self.generator(z))), [z])
        return ops.stop_gradient(gradient)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "entropy": self.entropy, "noise": self.noise}

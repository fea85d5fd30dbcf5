"""Bottlenecks of autoencoders: from the vector of a text to a latent vector, with a penalty.

An autoencoder's loss is -log p(x | z) + penalty, with z drawn from q(z | x). Where the penalty is
KL(q(z | x), p(z)) the mean loss is the negative evidence lower bound, -ELBO, in nats a text.

Symbols: B batch, D size of the encoder's vector h, Z size of z, M codes a text, K values a code,
E = Z / M size of the vector of a code.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from .._serialization import serializable
from .._types import Shape, Tensor
from ..layers.masking import EndsMask
from ..optimizers.schedules import LearningRate
from .code_prior import CodePrior
from .posterior import CodePosterior, GaussianPosterior, Posterior
from .quantizer import VectorQuantizer
from .sampling import Annealing, GaussianSampling, GumbelSoftmax, gaussian_kl


class Bottleneck(EndsMask, keras.layers.Layer):
    """Base class: draw z from q(z | x), and add the penalty of q to the losses of the model.

    A subclass defines `parameters_of`, `draw` and `posterior`, and its `size`, Z.

    Call arguments:
        h: (B, D).
        training: True in `fit`. Outside training z is drawn too, so that `evaluate` gives the
            bound; an answer at the mode of q comes from `posterior`.

    Returns:
        A pair: z (B, Z), and the parameters of q(z | x).
    """

    size: int

    def parameters_of(self, h: Tensor) -> Tensor:
        """Return the parameters of q(z | x)."""
        raise NotImplementedError(f"{type(self).__name__} must implement parameters_of().")

    def draw(self, parameters: Tensor, training: bool) -> Tensor:
        """Return z (B, Z), and add the penalty."""
        raise NotImplementedError(f"{type(self).__name__} must implement draw().")

    def posterior(self, parameters: np.ndarray) -> Posterior:
        """Return q(z | x) of a batch in numpy, given its parameters."""
        raise NotImplementedError(f"{type(self).__name__} must implement posterior().")

    def sample_prior(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw z from the prior, float32 (count, Z)."""
        raise NotImplementedError(f"{type(self).__name__} must implement sample_prior().")

    def call(self, h, training=None):
        parameters = self.parameters_of(h)
        return self.draw(parameters, bool(training)), parameters

    def dense(self, name: str, units: int, h_shape: Shape) -> keras.layers.Dense:
        """Make a built `Dense` from h."""
        layer = keras.layers.Dense(units, dtype=self.dtype_policy, name=name)
        layer.build(h_shape)
        return layer


@serializable
class GaussianBottleneck(Bottleneck):
    """VAE: q(z | x) = N(mu, s^2), z = mu + s e, penalty KL(q, N(0, I)).

    The usual failure is collapse: q becomes the prior, and the decoder a plain language model. Two
    remedies are here, a weight of the KL that rises from 0, and free bits; see also
    `SentenceAutoencoder`'s `word_dropout`.

    Args:
        size: Z.
        kl_weight: weight of the KL: a number, or a schedule over training steps such as
            `PiecewiseLinear(1.0, {2000: 1.0})`.
        free_bits: nats a dimension below which the KL is not reduced.
        seed: of the noise.

    Source: Bowman et al., Generating Sentences from a Continuous Space, 2016 (arXiv:1511.06349);
    https://kexue.fm/archives/5343; free bits: arXiv:1606.04934.
    """

    def __init__(
        self,
        size: int = 32,
        kl_weight: LearningRate = 1.0,
        free_bits: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        _check_sizes(size=size)
        self.size, self.free_bits, self.seed = size, free_bits, seed
        self.kl_weight = Annealing(kl_weight, name="kl_weight", dtype="float32")
        self.sampling = GaussianSampling(seed, name="sampling", dtype="float32")

    def build(self, input_shape):
        self.projection = self.dense("projection", 2 * self.size, input_shape)

    def parameters_of(self, h):
        return ops.cast(self.projection(h), "float32")

    def draw(self, parameters, training):
        mean, log_var = ops.split(parameters, 2, axis=-1)
        kl = ops.mean(gaussian_kl(mean, log_var, self.free_bits))
        self.add_loss(self.kl_weight(kl, training=training))
        return self.sampling([mean, log_var], sample=True)

    def posterior(self, parameters):
        return GaussianPosterior(*np.split(np.asarray(parameters, "float64"), 2, axis=-1))

    def sample_prior(self, count, rng):
        return rng.standard_normal((count, self.size)).astype("float32")

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.size), (input_shape[0], 2 * self.size)

    def get_config(self):
        own = {"size": self.size, "free_bits": self.free_bits, "seed": self.seed}
        return {**super().get_config(), **own, **_schedule(kl_weight=self.kl_weight)}


class _Codes(Bottleneck):
    """Base of discrete bottlenecks: M codes of K values, each a vector of E numbers."""

    def __init__(self, codes: int, values: int, code_size: int, seed: int | None, **kwargs: Any):
        super().__init__(**kwargs)
        _check_sizes(codes=codes, values=values, code_size=code_size)
        self.codes, self.values, self.code_size, self.seed = codes, values, code_size, seed
        self.size = codes * code_size
        self.prior = CodePrior(values, name="prior", dtype="float32")

    def build(self, input_shape):
        self.projection = self.dense("projection", self.projected, input_shape)
        self.prior.build((None, self.codes, self.code_size))

    @property
    def projected(self) -> int:
        """Number of units of the projection of h."""
        raise NotImplementedError

    @property
    def table(self) -> Tensor:
        """Vectors of all codes, (M, K, E)."""
        raise NotImplementedError

    def parameters_of(self, h):
        x = ops.cast(self.projection(h), "float32")
        return ops.reshape(x, (-1, self.codes, self.projected // self.codes))

    def log_probabilities(self, parameters: np.ndarray) -> np.ndarray:
        """Return log q of each value of each code, (B, M, K)."""
        raise NotImplementedError

    def posterior(self, parameters):
        logs = self.log_probabilities(parameters)
        return CodePosterior(logs, ops.convert_to_numpy(self.table), self.prior)

    def sample_prior(self, count, rng):
        drawn = self.prior.draw(ops.convert_to_numpy(self.table), count, rng)
        return drawn.reshape(count, self.size)

    def compute_output_shape(self, input_shape):
        first = input_shape[0]
        return (first, self.size), (first, self.codes, self.projected // self.codes)

    def get_config(self):
        names = ("codes", "values", "code_size", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@serializable
class GumbelBottleneck(_Codes):
    """Discrete VAE: q(c | x) is M softmaxes, sampled by Gumbel softmax; penalty KL(q, p).

    The prior p(c) is trained too, see `CodePrior`. Outside training the samples are one-hot.

    Args:
        codes, values, code_size: M, K, E.
        temperature: of the Gumbel softmax: a number, or a schedule over training steps.
        hard: one-hot samples in training too, with the gradient of the soft ones.
        kl_weight, free_bits: as in `GaussianBottleneck`; free bits are nats a code.
        seed: of the noise.

    Source: arXiv:1611.01144; https://kexue.fm/archives/6705.
    """

    def __init__(
        self,
        codes: int = 8,
        values: int = 64,
        code_size: int = 16,
        temperature: LearningRate = 1.0,
        hard: bool = True,
        kl_weight: LearningRate = 1.0,
        free_bits: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(codes, values, code_size, seed, **kwargs)
        self.hard, self.free_bits = hard, free_bits
        self.kl_weight = Annealing(kl_weight, name="kl_weight", dtype="float32")
        self.gumbel = GumbelSoftmax(temperature, hard, seed, name="gumbel", dtype="float32")

    def build(self, input_shape):
        super().build(input_shape)
        shape = (self.codes, self.values, self.code_size)
        self.embeddings = self.add_weight(
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=1.0),  # as large as a Gaussian z
            autocast=False,
            name="embeddings",
        )

    @property
    def projected(self):
        return self.codes * self.values

    @property
    def table(self):
        return self.embeddings

    def draw(self, parameters, training):
        y = self.gumbel(parameters, training=training, sample=True)
        if not (training or self.hard):
            y = ops.one_hot(ops.argmax(y, axis=-1), self.values, dtype=y.dtype)
        vectors = ops.einsum("bmk,mke->bme", y, self.embeddings)
        log_q = ops.log_softmax(parameters, axis=-1)
        kl = ops.sum(ops.exp(log_q) * (log_q - self.prior(vectors)), axis=-1)
        kl = ops.mean(kl, axis=0)  # of each code
        if self.free_bits:
            kl = ops.maximum(kl, self.free_bits)
        self.add_loss(self.kl_weight(ops.sum(kl), training=training))
        return ops.reshape(vectors, (-1, self.size))

    def log_probabilities(self, parameters):
        logits = np.asarray(parameters, "float64")
        return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)

    def get_config(self):
        own = {"hard": self.hard, "free_bits": self.free_bits}
        own |= _schedule(kl_weight=self.kl_weight, temperature=self.gumbel.temperature)
        return {**super().get_config(), **own}


@serializable
class VectorQuantizedBottleneck(_Codes):
    """VQ-VAE: h is projected to M vectors, each replaced by the nearest of K in its codebook.

    The posterior is one point, so KL(q, p) = -log p(c). The prior is trained on the codes and
    nothing else is trained by it; it is part of the loss, which so stays -ELBO.

    Args:
        codes, values, code_size: M, K, E.
        gamma: weight of the commitment loss.
        moving_average: the codebooks are moving averages, not trained by gradients.
        seed: of the choice of vectors for dead codes.

    Source: arXiv:1711.00937; https://kexue.fm/archives/6760; see `VectorQuantizer`.
    """

    def __init__(
        self,
        codes: int = 8,
        values: int = 64,
        code_size: int = 16,
        gamma: float = 0.25,
        moving_average: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(codes, values, code_size, seed, **kwargs)
        self.gamma, self.moving_average = gamma, moving_average
        self.quantizer = VectorQuantizer(
            values,
            codes,
            gamma=gamma,
            moving_average=moving_average,
            seed=seed,
            name="quantizer",
            dtype="float32",
        )

    def build(self, input_shape):
        super().build(input_shape)
        self.quantizer.build((None, self.size))

    @property
    def projected(self):
        return self.size

    @property
    def table(self):
        return self.quantizer.vectors

    def draw(self, parameters, training):
        flat = ops.reshape(parameters, (-1, self.size))
        z = self.quantizer(flat, training=training)
        vectors = ops.reshape(ops.stop_gradient(z), (-1, self.codes, self.code_size))
        codes = ops.one_hot(self.quantizer.encode(flat), self.values, dtype="float32")
        self.add_loss(-ops.mean(ops.sum(codes * self.prior(vectors), axis=(1, 2))))
        return z

    def log_probabilities(self, parameters):
        flat = np.reshape(parameters, (-1, self.size)).astype("float32")
        codes = ops.convert_to_numpy(self.quantizer.encode(ops.convert_to_tensor(flat)))
        return np.where(codes[..., None] == np.arange(self.values), 0.0, -np.inf)

    def get_config(self):
        own = {"gamma": self.gamma, "moving_average": self.moving_average}
        return {**super().get_config(), **own}


BOTTLENECKS: dict[str, type[Bottleneck]] = {
    "gaussian": GaussianBottleneck,
    "gumbel": GumbelBottleneck,
    "vq": VectorQuantizedBottleneck,
}
"""Name -> the bottleneck of a `SentenceAutoencoder`."""


def _schedule(**layers: Annealing) -> dict[str, Any]:
    return {name: layer.get_config()["schedule"] for name, layer in layers.items()}


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}={size!r} must be at least 1.")

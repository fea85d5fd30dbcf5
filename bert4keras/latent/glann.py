"""Generator of vectors without an adversary: GLANN, which is GLO and IMLE.

GLO gives each training vector x_i its own code c_i on the unit sphere, a trained weight, and fits a
decoder G by reconstruction only. What it lacks is a distribution from which new codes can be drawn.
IMLE learns one: a network T maps noise e ~ N(0, I) to the sphere, and each code pulls the nearest
of many samples T(e) towards itself, so that no code is left without samples near it:

    loss = mean_i |G(c_i) - x_i|^2 / D  +  mean_i min_j |sg(c_i) - T(e_j)|^2       sg: a constant

The source trains the second term after the first. As codes are constants in it, the first is not
affected by training both at once, and T follows the codes until they come to rest.

Source: Hoshen and Malik, Non-Adversarial Image Synthesis with Generative Latent Nearest Neighbors,
2018 (arXiv:1812.08985); https://kexue.fm/archives/6394.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .._serialization import serializable
from .._types import Array, Shape, Tensor
from .networks import mlp


def nearest_samples(codes: Tensor, samples: Tensor) -> Tensor:
    """Return for each code the index of the nearest sample, int (B,).

    Args:
        codes: (B, n).
        samples: (M, n).
    """
    # |c - s|^2 = |c|^2 - 2 c s + |s|^2, whose first term is the same for all samples.
    products = ops.matmul(codes, ops.transpose(samples))
    return ops.argmin(ops.sum(ops.square(samples), axis=-1) - 2 * products, axis=-1)


@serializable
class GLANN(keras.Model):
    """Generator of vectors from reconstruction and nearest neighbours.

    The input is the number of each training vector, the target is the vector. Vectors should be
    scaled to a variance of about 1 in each coordinate.

    Args:
        count: number of training vectors, N.
        size: D.
        latent_size: n, size of the codes.
        hidden: sizes of the hidden layers of G; T has one of the first of these sizes.
        candidates: number of samples for each code among which the nearest is looked for; all
            codes of a batch share them.

    Example:
        >>> glann = GLANN(len(vectors), vectors.shape[1])
        >>> glann.initialize_codes(vectors)
        >>> glann.compile(keras.optimizers.Adam(1e-3), "mse")
        >>> glann.fit(np.arange(len(vectors)), vectors, epochs=100)
        >>> glann.sample(10)
    """

    def __init__(
        self,
        count: int,
        size: int,
        latent_size: int = 16,
        hidden: Sequence[int] = (256, 256),
        candidates: int = 8,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if min(count, size, candidates) < 1 or latent_size < 2 or not hidden:
            raise ValueError(
                f"GLANN needs count={count}, size={size} and candidates={candidates} of at least "
                f"1, latent_size={latent_size} of at least 2, and a hidden layer, not {hidden!r}."
            )
        self.count, self.size, self.latent_size = count, size, latent_size
        self.hidden, self.candidates = tuple(hidden), candidates
        self.seed_generator = keras.random.SeedGenerator()
        self.codes = keras.layers.Embedding(count, latent_size, "random_normal", name="codes")
        self.unit = keras.layers.UnitNormalization(name="unit")
        self.mapping = mlp((self.hidden[0], latent_size), "mapping")
        self.decoder = mlp((*self.hidden, size), "decoder")

    def build(self, input_shape: Shape | None = None) -> None:
        self.codes.build((None,))
        self.mapping.build((None, self.latent_size))
        self.decoder.build((None, self.latent_size))
        self.built = True

    def call(self, index: Tensor, training: bool | None = None) -> Tensor:
        """Return the reconstructions (B, D) of the training vectors of these numbers, int (B,)."""
        return self.decoder(self.code(index))

    def code(self, index: Tensor) -> Tensor:
        """Return the codes (B, n), of length 1, of training vectors by their numbers, int (B,)."""
        return self.unit(self.codes(ops.reshape(index, (-1,))))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        codes = ops.stop_gradient(self.code(x))
        shape = (self.candidates * ops.shape(codes)[0], self.latent_size)
        noise = keras.random.normal(shape, dtype=codes.dtype, seed=self.seed_generator)
        return loss + ops.cast(self.pull(codes, self.unit(self.mapping(noise))), loss.dtype)

    def initialize_codes(self, vectors: Array) -> None:
        """Set the codes to the directions of the n largest principal components of the vectors.

        Neighbours then have near codes from the start, so that G is smooth between them. Random
        codes reconstruct as well, but what lies between two of them may be anything.

        Args:
            vectors: the training vectors, (N, D) with D >= n.
        """
        centred = np.asarray(vectors, "float32") - np.mean(vectors, axis=0, dtype="float32")
        directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
        if not self.built:
            self.build()
        self.codes.embeddings.assign(centred @ directions[:, : self.latent_size])

    def pull(self, codes: Tensor, samples: Tensor) -> Tensor:
        """Return the mean squared distance of each code (B, n) to its nearest sample (M, n)."""
        chosen = ops.take(samples, nearest_samples(codes, samples), axis=0)
        return ops.mean(ops.sum(ops.square(codes - chosen), axis=-1))

    @property
    def generator(self) -> keras.Sequential:
        """Network from noise (B, n) to vectors (B, D), of the layers of this model."""
        return keras.Sequential([self.mapping, self.unit, self.decoder], name="glann_generator")

    def sample(self, count: int, seed: int | None = None) -> Array:
        """Draw vectors, float32 (count, D); the same seed draws the same ones."""
        if not self.built:
            self.build()
        shape = (count, self.latent_size)
        noise = np.random.default_rng(seed).normal(size=shape).astype("float32")
        return ops.convert_to_numpy(ops.cast(self.generator(noise), "float32"))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "count": self.count,
            "size": self.size,
            "latent_size": self.latent_size,
            "hidden": self.hidden,
            "candidates": self.candidates,
        }

"""Vector quantisation: vectors become the nearest of a few learnt ones, their codes.

Symbols: B batch, T positions, D size of a vector, G groups, K codes a group, sg stops the gradient.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from .._serialization import serializable
from .._types import Shape, Tensor
from .sampling import straight_through


@serializable
class VectorQuantizer(keras.layers.Layer):
    """Replace vectors z by the nearest vectors e of a codebook, through which gradients flow.

        z_q  = e_k,  k = argmin |z - e_k|
        out  = z + sg(z_q - z)
        loss = beta |sg(z) - z_q|^2 + gamma |z - sg(z_q)|^2

    The loss is a mean over vectors and is added to that of the model. With G groups a vector is cut
    into G parts, each with its own codebook (a product code). With `moving_average` the codebook
    has no gradient; it follows means of the vectors of each code,

        N_k = d N_k + (1 - d) n_k / n,  m_k = d m_k + (1 - d) sum(z of k) / n,  e_k = m_k / N_k

    with n_k of n vectors in a batch. N_k, the usage, also finds dead codes: below `dead_below` of
    the equal share 1/K, a code is replaced by a random vector of the batch. All are dead at the
    start, so the first batch initialises the codebook.

    Args:
        codes: K.
        groups: G, must divide D.
        beta, gamma: weights of the codebook's loss and of the commitment loss.
        moving_average: replace the codebook's loss by moving averages.
        decay: d.
        dead_below: share below which a code is dead; 0: never, and the codebook starts random.
        seed: of the choice of vectors for dead codes.

    Call arguments:
        z: (B, D) or (B, T, D).
        mask: bool (B) or (B, T); False: the vector is padding, which only passes through.

    Raises:
        ValueError: an option out of range, or G does not divide D.

    Source: van den Oord et al., Neural Discrete Representation Learning, 2017 (arXiv:1711.00937);
    random restarts: Dhariwal et al., Jukebox, 2020 (arXiv:2005.00341);
    https://kexue.fm/archives/6760.
    """

    def __init__(
        self,
        codes: int = 512,
        groups: int = 1,
        beta: float = 1.0,
        gamma: float = 0.25,
        moving_average: bool = False,
        decay: float = 0.99,
        dead_below: float = 0.01,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if codes < 1 or groups < 1:
            raise ValueError(f"codes={codes} and groups={groups} must be at least 1.")
        if not 0 <= decay < 1 or not 0 <= dead_below < 1:
            raise ValueError(f"decay={decay} and dead_below={dead_below} must be in [0, 1).")
        self.codes, self.groups = codes, groups
        self.beta, self.gamma = beta, gamma
        self.moving_average, self.decay, self.dead_below = moving_average, decay, dead_below
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape):
        size = input_shape[-1]
        if size % self.groups:
            raise ValueError(
                f"{self.name}: vectors of size {size} cannot be cut into {self.groups} equal "
                "groups. Use a number of groups that divides the size."
            )
        shape = (self.groups, self.codes, size // self.groups)

        def weight(name: str, initializer: str, shape=shape, trainable: bool = False):
            return self.add_weight(
                shape=shape, initializer=initializer, trainable=trainable, dtype="float32",
                autocast=False, name=name,
            )  # fmt: skip

        first = "zeros" if self.dead_below else "random_normal"
        self.codebook = weight("codebook", first, trainable=not self.moving_average)
        # On JAX a call can change only non-trainable weights. So what moves a code without a
        # gradient is added to it from a second weight.
        self.shift = weight("shift", "zeros")
        self.usage = weight("usage", "zeros", shape[:2])

    @property
    def vectors(self) -> Tensor:
        """All codes' vectors, float32 (G, K, D / G)."""
        return self.codebook.value + self.shift.value

    def encode(self, z: Tensor) -> Tensor:
        """Return the nearest codes, int32 (..., G), of vectors (..., D)."""
        return ops.reshape(self._nearest(self._parts(z)), (*ops.shape(z)[:-1], self.groups))

    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors, float32 (..., D), of codes (..., G)."""
        found = self._look_up(ops.reshape(codes, (-1, self.groups)))
        return ops.reshape(found, (*ops.shape(codes)[:-1], -1))

    @property
    def perplexity(self) -> float:
        """Number of equally used codes with the entropy of the usage, a mean over groups."""
        usage = ops.convert_to_numpy(self.usage).astype("float64")
        share = usage / usage.sum(axis=1, keepdims=True).clip(1e-30)
        entropy = -(share * np.log(share.clip(1e-30))).sum(axis=1)
        return float(np.exp(entropy).mean())

    def call(self, z, mask=None, training=None):
        parts = self._parts(z)
        weights = ops.ones_like(parts[:, 0, 0])
        if mask is not None:
            weights = ops.cast(ops.reshape(mask, (-1,)), "float32")
        if training and self.dead_below:
            self._revive(ops.stop_gradient(parts), weights)
        codes = self._nearest(parts)
        found = self._look_up(codes)
        if training:
            self._follow(ops.stop_gradient(parts), codes, weights)
        count = ops.maximum(ops.sum(weights), 1.0)
        commitment = ops.sum(ops.square(parts - ops.stop_gradient(found)), axis=(1, 2))
        loss = self.gamma * ops.sum(weights * commitment) / count
        if not self.moving_average:
            fit = ops.sum(ops.square(ops.stop_gradient(parts) - found), axis=(1, 2))
            loss = loss + self.beta * ops.sum(weights * fit) / count
        self.add_loss(loss)
        found = ops.where(weights[:, None, None] > 0, found, parts)
        return straight_through(ops.cast(ops.reshape(found, ops.shape(z)), z.dtype), z)

    def _parts(self, z: Tensor) -> Tensor:
        """Return vectors as float32 (N, G, D / G)."""
        return ops.reshape(ops.cast(z, "float32"), (-1, self.groups, z.shape[-1] // self.groups))

    def _nearest(self, parts: Tensor) -> Tensor:
        vectors = ops.stop_gradient(self.vectors)
        products = ops.einsum("ngd,gkd->ngk", ops.stop_gradient(parts), vectors)
        lengths = ops.sum(ops.square(vectors), axis=-1)
        return ops.cast(ops.argmin(lengths[None] - 2 * products, axis=-1), "int32")

    def _flat(self, codes: Tensor) -> Tensor:
        """Number the codes of all groups through: (N, G) to (N G)."""
        first = self.codes * ops.arange(self.groups, dtype="int32")
        return ops.reshape(ops.cast(codes, "int32") + first, (-1,))

    def _look_up(self, codes: Tensor) -> Tensor:
        size = self.codebook.shape[-1]
        table = ops.reshape(self.vectors, (-1, size))
        return ops.reshape(ops.take(table, self._flat(codes), axis=0), (-1, self.groups, size))

    def _revive(self, parts: Tensor, weights: Tensor) -> None:
        """Replace dead codes by random vectors of the batch."""
        dead = self.usage.value < self.dead_below / self.codes
        real_first = ops.argsort(-weights)
        draws = keras.random.uniform((self.codes, self.groups), seed=self.seed_generator)
        places = ops.cast(draws * ops.sum(weights), "int32")
        rows = ops.take(real_first, places, axis=0)[:, :, None]
        chosen = ops.transpose(ops.take_along_axis(parts, rows, axis=0), (1, 0, 2))
        self._move(dead, chosen)
        self.usage.assign(ops.where(dead, 1 / self.codes, self.usage.value))

    def _follow(self, parts: Tensor, codes: Tensor, weights: Tensor) -> None:
        """Update the usage, and the codebook if it is a moving average."""
        flat, counted = self._flat(codes), ops.repeat(weights, self.groups)
        scale = (1 - self.decay) / ops.maximum(ops.sum(weights), 1.0)

        def sums(values: Tensor, shape: Shape) -> Tensor:
            total = ops.segment_sum(values, flat, num_segments=self.groups * self.codes)
            return ops.reshape(scale * total, shape)

        added = sums(counted, self.usage.shape)
        kept = self.decay * self.usage.value
        if self.moving_average:
            rows = ops.reshape(parts, (-1, self.codebook.shape[-1])) * counted[:, None]
            total = kept[:, :, None] * self.vectors + sums(rows, self.codebook.shape)
            mean = total / ops.maximum(kept + added, 1e-30)[:, :, None]
            self._move(added > 0, mean)
        self.usage.assign(kept + added)

    def _move(self, which: Tensor, vectors: Tensor) -> None:
        """Set the vectors of some codes, bool (G, K), to others, (G, K, D / G)."""
        moved = ops.where(which[:, :, None], vectors - self.codebook.value, self.shift.value)
        self.shift.assign(ops.stop_gradient(moved))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("codes", "groups", "beta", "gamma", "moving_average", "decay", "dead_below")
        options = {name: getattr(self, name) for name in (*names, "seed")}
        return {**super().get_config(), **options}

"""Base class of models of the distribution of vectors.

Symbols: B batch, D size of a vector.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .._types import Array, Tensor


class Density(keras.Model):
    """Model that assigns an energy to a vector: low for vectors like those it was trained on.

    For a model with a normalised density p the energy is -log p(x). Without one it is known only up
    to a constant (energy models, score models), or is a bound (VAE).

    `compile(optimizer)` takes no loss, and `fit(x)`, `evaluate(x)` and `predict(x)` take vectors
    without labels; `predict` returns energies. (Keras drops the `sample_weight` of `fit(x)`, which
    needs some `y` beside it: any will do.) A subclass implements `call`, and overrides
    `compute_loss` if its loss is not the mean energy.

    Example:
        >>> density = RealNVP(blocks=4)
        >>> density.compile(keras.optimizers.Adam(1e-3))
        >>> density.fit(vectors, epochs=20)
        >>> energies = density.predict(vectors)
    """

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Return the energy of each vector.

        Args:
            x: (B, D), float.
            training: True in `fit`.

        Returns:
            (B,), float32 or wider.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement call().")

    def compute_loss(
        self,
        x: Tensor | None = None,
        y: Tensor | None = None,
        y_pred: Tensor | None = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Return the mean energy of a batch and the sum of `losses`, a scalar.

        Args:
            x: (B, D).
            y: unused: vectors have no labels.
            y_pred: (B,), the output of `call`.
            sample_weight: (B,), weights of the vectors; None: all 1.
            training: False in `evaluate`.
        """
        energies = y_pred
        if sample_weight is not None:
            energies = energies * ops.cast(ops.reshape(sample_weight, (-1,)), energies.dtype)
        loss = ops.mean(energies)
        for extra in self.losses:
            loss = loss + ops.cast(extra, loss.dtype)
        return loss

    def sample(self, count: int, seed: int | None = None) -> Array:
        """Draw vectors from the model.

        Args:
            count: number of vectors.
            seed: the same seed draws the same vectors; None: others each time.

        Returns:
            float32 (count, D).
        """
        raise NotImplementedError(f"{type(self).__name__} has no sample().")

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

"""Novelty as the energy of a model that is trained on known vectors, of `bert4keras.latent`.

The vectors are whitened first: the model sees the directions of largest variance, each of
variance 1. For a density, a tenth of the known texts says when to stop.

| name | model | score, higher for foreign texts |
|---|---|---|
| vae, realnvp, glow, iresnet, score, energy-gan | a density | its energy |
| lipschitz | a classifier that cannot stretch distances | -logsumexp of the labels' scores |
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ... import latent
from ..._json import require_regular_file
from ..base import TaskError
from ..similarity.whitening import Whitening
from .methods import METHODS, Encodings, NoveltyMethod, free_energy, register_method

_DENSITY, _WHITENING = "density.keras", "whitening.npz"


class _ModelNovelty(NoveltyMethod):
    """A method with a whitening and a Keras model, `whitening` and `model`."""

    whitening: Whitening
    model: keras.Model

    def whiten(self, vectors: np.ndarray, dim: int) -> np.ndarray:
        """Learn the whitening of known vectors (N, D), and return them whitened, (N, K)."""
        rank = Whitening.fit(vectors).kernel.shape[1]
        self.whitening = Whitening.fit(vectors, min(dim, rank))
        return self.whitening(vectors)

    def outputs(self, texts: Encodings) -> np.ndarray:
        """Return the outputs of the model, float64 (N, ...)."""
        x = self.whitening(texts.vectors)
        return np.asarray(self.model.predict(x, batch_size=256, verbose=0), "float64")

    def save(self, directory: Path) -> None:
        self.whitening.save(directory / _WHITENING)
        self.model.save(directory / _DENSITY)

    def load(self, directory: Path) -> None:
        self.whitening = Whitening.load(directory / _WHITENING)
        path = require_regular_file(directory / _DENSITY, TaskError)
        try:
            self.model = keras.saving.load_model(path, safe_mode=True)
        except (TypeError, ValueError, OSError, KeyError) as error:
            raise TaskError(f"{path} cannot be read: {error}") from error


class DensityNovelty(_ModelNovelty):
    """Novelty as the energy of a `latent.Density` of whitened vectors.

    Args:
        make: class of the density, or a function that returns one.
        stops_early: the loss on held-out vectors says how good the density is, so that training
            ends when it no longer falls, and the best weights stay.
        dim: number of directions that are kept; all in which the texts vary if they are fewer.
        epochs, batch_size, learning_rate: of training.
        patience: epochs without a lower loss after which training stops.
        **options: of the density.
    """

    def __init__(
        self,
        make: Callable[..., latent.Density],
        stops_early: bool = True,
        dim: int = 64,
        epochs: int = 100,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        patience: int = 5,
        **options: Any,
    ):
        if dim < 1 or epochs < 1 or batch_size < 1:
            raise ValueError(f"dim={dim}, epochs={epochs}, batch_size={batch_size}: all from 1.")
        self.dim, self.epochs, self.batch_size = dim, epochs, batch_size
        self.rate, self.patience, self.stops_early = learning_rate, patience, stops_early
        self.model = make(**options)

    def fit(self, known: Encodings, labels: np.ndarray | None) -> None:
        x = self.whiten(known.vectors, self.dim)
        options: dict[str, Any] = {}
        held_out = len(x) // 10 if self.stops_early else 0
        if held_out:
            x = x[np.random.default_rng(0).permutation(len(x))]
            x, options["validation_data"] = x[held_out:], (x[:held_out],)
            options["callbacks"] = [
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=self.patience, restore_best_weights=True
                )
            ]
        self.model.compile(keras.optimizers.Adam(self.rate))
        self.model.fit(x, batch_size=self.batch_size, epochs=self.epochs, verbose=0, **options)

    def score(self, texts: Encodings) -> np.ndarray:
        return self.outputs(texts)


@register_method("lipschitz")
class LipschitzNovelty(_ModelNovelty):
    """Novelty as the free energy of a classifier whose scores move no faster than its input.

    Such a classifier cannot map far vectors near to known ones (Liu et al. 2020, SNGP, arXiv
    2006.10108, from which it has the spectral norm but not the Gaussian process).

    Args:
        dim, epochs, batch_size, learning_rate: as in `DensityNovelty`.
        units: size of the hidden layer.
        bound: how far the scores may move for a step of 1 of the whitened vector.
    """

    needs_labels = True

    def __init__(
        self,
        dim: int = 64,
        epochs: int = 20,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        units: int = 256,
        bound: float = 4.0,
    ):
        if dim < 1 or epochs < 1 or batch_size < 1:
            raise ValueError(f"dim={dim}, epochs={epochs}, batch_size={batch_size}: all from 1.")
        self.dim, self.epochs, self.batch_size = dim, epochs, batch_size
        self.rate, self.units, self.bound = learning_rate, units, bound

    def fit(self, known: Encodings, labels: np.ndarray | None) -> None:
        if labels is None:
            assert known.scores is not None  # the detector checks it
            labels = known.scores.argmax(axis=-1)
        x = self.whiten(known.vectors, self.dim)
        classes = int(labels.max()) + 1
        self.model = keras.Sequential(
            [
                keras.Input(x.shape[1:]),
                latent.LipschitzDense(self.units, "relu"),
                latent.LipschitzDense(classes, bound=self.bound),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.Adam(self.rate), loss)
        self.model.fit(x, labels, batch_size=self.batch_size, epochs=self.epochs, verbose=0)

    def score(self, texts: Encodings) -> np.ndarray:
        return free_energy(self.outputs(texts))

    def nearest(self, texts: Encodings) -> np.ndarray:
        return self.outputs(texts).argmax(axis=-1)


def register_density(name: str, make: Callable[..., latent.Density], **options: Any) -> None:
    """Register a density as a novelty method.

    Args:
        name: of the method.
        make: class of the density, or a function that returns one.
        **options: defaults of `DensityNovelty` for it, such as `stops_early`.
    """
    METHODS[name] = functools.partial(DensityNovelty, make, **options)


register_density("vae", latent.VAE)
register_density("realnvp", latent.RealNVP)
register_density("glow", latent.Glow)
register_density("iresnet", latent.InvertibleResNet)
register_density("score", latent.ScoreModel)
# The loss of two players does not say how good the energy is.
register_density("energy-gan", latent.EnergyGAN, stops_early=False, epochs=30, learning_rate=2e-4)

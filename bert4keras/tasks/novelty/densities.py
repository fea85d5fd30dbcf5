"""Novelty as the energy of a density model of `bert4keras.latent`.

The vectors are whitened first: a density is fitted to the directions of largest variance, each of
variance 1. A tenth of the known texts says when to stop.
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
from .methods import METHODS, Encodings, NoveltyMethod

_MODEL, _WHITENING = "density.keras", "whitening.npz"


class DensityNovelty(NoveltyMethod):
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
        rank = Whitening.fit(known.vectors).kernel.shape[1]
        self.whitening = Whitening.fit(known.vectors, min(self.dim, rank))
        x = self.whitening(known.vectors)
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
        x = self.whitening(texts.vectors)
        return np.asarray(self.model.predict(x, batch_size=256, verbose=0), "float64")

    def save(self, directory: Path) -> None:
        self.whitening.save(directory / _WHITENING)
        self.model.save(directory / _MODEL)

    def load(self, directory: Path) -> None:
        self.whitening = Whitening.load(directory / _WHITENING)
        path = require_regular_file(directory / _MODEL, TaskError)
        try:
            self.model = keras.saving.load_model(path, safe_mode=True)
        except (TypeError, ValueError, OSError, KeyError) as error:
            raise TaskError(f"{path} cannot be read: {error}") from error


def register_density(name: str, make: Callable[..., latent.Density], **options: Any) -> None:
    """Register a density as a novelty method.

    Args:
        name: of the method.
        make: class of the density, or a function that returns one.
        **options: defaults of `DensityNovelty` for it, such as `stops_early`.
    """
    METHODS[name] = functools.partial(DensityNovelty, make, **options)


register_density("score", latent.ScoreModel)

"""Novelty methods: their base class, the registry, and the two that read a classifier's scores.

Symbols: N texts, D size of a vector, C labels.

| name | score, higher for foreign texts | source |
|---|---|---|
| softmax | 1 - max_c softmax(scores)_c | Hendrycks and Gimpel 2017, arXiv 1610.02136 |
| energy | -logsumexp_c scores_c | Liu et al. 2020, arXiv 2010.03759 |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..._numpy import softmax
from ..base import TaskError
from ..similarity.arrays import read_arrays, save_arrays

_ARRAYS = "novelty.npz"
_DECAY = 1e-3  # factor of the weights in the gradient of `fit_linear`
METHODS: dict[str, Callable[..., NoveltyMethod]] = {}
"""Name of a method -> what makes it, as `register_method` filled it."""


@dataclasses.dataclass(frozen=True)
class Encodings:
    """Texts as an encoder or a classifier reads them.

    Attributes:
        vectors: (N, D), float32.
        scores: (N, C), scores of a classifier's labels before the softmax; None: no classifier.
    """

    vectors: np.ndarray
    scores: np.ndarray | None = None

    def __getitem__(self, rows: Any) -> Encodings:
        return Encodings(self.vectors[rows], None if self.scores is None else self.scores[rows])


def register_method(name: str) -> Callable[[Callable], Callable]:
    """Register a `NoveltyMethod`, or a function that makes one of options, under a name."""

    def register(method: Callable) -> Callable:
        METHODS[name] = method
        return method

    return register


class NoveltyMethod:
    """A way to tell foreign from known vectors.

    A subclass overrides `fit` and `score`, and names the arrays that `fit` sets in `arrays`. Its
    `__init__` takes the method's options, plain JSON values.

    Attributes:
        needs_labels: `fit` needs labels, or encodings with scores.
        arrays: dtype and number of axes of each fitted attribute, by name; one may be None.
    """

    needs_labels: ClassVar[bool] = False
    arrays: ClassVar[dict[str, tuple[str, int]]] = {}

    def fit(self, known: Encodings, labels: np.ndarray | None) -> None:
        """Learn from known texts.

        Args:
            known: their encodings.
            labels: int (N,) from 0; None: no labels.
        """
        raise NotImplementedError(f"{type(self).__name__} must override `fit`.")

    def score(self, texts: Encodings) -> np.ndarray:
        """Return the novelty of texts, (N,), higher for more foreign ones."""
        raise NotImplementedError(f"{type(self).__name__} must override `score`.")

    def nearest(self, texts: Encodings) -> np.ndarray | None:
        """Return the index of the label that is nearest to each text, (N,), or None."""
        return None

    def save(self, directory: Path) -> None:
        """Write what `fit` learnt."""
        found = {name: getattr(self, name) for name in self.arrays}
        save_arrays(directory / _ARRAYS, {k: v for k, v in found.items() if v is not None})

    def load(self, directory: Path) -> None:
        """Read what `save` wrote."""
        found = read_arrays(directory / _ARRAYS, {}, self.arrays)
        for name in self.arrays:
            setattr(self, name, found.get(name))


class _OfScores(NoveltyMethod):
    """A method that reads the scores of labels: a classifier's, or those of a linear model."""

    needs_labels = True
    arrays: ClassVar[dict[str, tuple[str, int]]] = {
        "kernel": ("float32", 2),
        "bias": ("float32", 1),
    }
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None

    def fit(self, known: Encodings, labels: np.ndarray | None) -> None:
        if known.scores is None:
            assert labels is not None  # the detector checks it
            self.kernel, self.bias = fit_linear(known.vectors, labels)

    def scores(self, texts: Encodings) -> np.ndarray:
        """Return the scores of the labels, float64 (N, C)."""
        if self.kernel is None:
            return np.asarray(texts.scores, "float64")
        return texts.vectors.astype("float64") @ self.kernel + self.bias

    def nearest(self, texts: Encodings) -> np.ndarray:
        return self.scores(texts).argmax(axis=-1)


@register_method("softmax")
class SoftmaxNovelty(_OfScores):
    """Novelty as one minus the probability of the most probable label."""

    def score(self, texts: Encodings) -> np.ndarray:
        # As the sum of the other labels, since the difference is rounded to 0 for sure texts.
        others = softmax(self.scores(texts))
        np.put_along_axis(others, others.argmax(axis=-1, keepdims=True), 0, axis=-1)
        return others.sum(axis=-1)


@register_method("energy")
class EnergyNovelty(_OfScores):
    """Novelty as the free energy of a classifier's scores."""

    def score(self, texts: Encodings) -> np.ndarray:
        return free_energy(self.scores(texts))


def free_energy(scores: np.ndarray) -> np.ndarray:
    """Return -logsumexp of scores (N, C), (N,)."""
    largest = scores.max(axis=-1)
    return -largest - np.log(np.exp(scores - largest[:, None]).sum(axis=-1))


def fit_linear(
    vectors: np.ndarray, labels: np.ndarray, steps: int = 1000, rows: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Train a linear softmax model on vectors, by Adam with a falling rate.

    The loss is convex, and all weights start at 0: it is the same on every backend.

    Args:
        vectors: (N, D).
        labels: int (N,), each from 0 to C - 1.
        steps: number of updates.
        rows: vectors of an update.

    Returns:
        Kernel (D, C) and bias (C,), float32.
    """
    mean, deviation = vectors.mean(axis=0), np.maximum(vectors.std(axis=0), 1e-6)
    x = np.concatenate([(vectors - mean) / deviation, np.ones((len(vectors), 1))], axis=1)
    targets = np.eye(int(labels.max()) + 1)[labels]
    random = np.random.default_rng(0)
    weights = np.zeros((x.shape[1], targets.shape[1]))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        batch = random.integers(0, len(x), min(rows, len(x)))
        error = softmax(x[batch] @ weights) - targets[batch]
        gradient = x[batch].T @ error / len(batch) + _DECAY * weights
        first += 0.1 * (gradient - first)
        second += 0.01 * (gradient**2 - second)
        moved = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        weights -= 1e-2 * (1 - (step - 1) / steps) * moved
    kernel = weights[:-1] / deviation[:, None]
    return kernel.astype("float32"), (weights[-1] - mean @ kernel).astype("float32")


def make_method(name: str, options: dict[str, Any]) -> NoveltyMethod:
    """Return a method by its name.

    Raises:
        TaskError: an unknown name or options.
    """
    if name not in METHODS:
        raise TaskError(f"method={name!r} must be one of {', '.join(METHODS)}.")
    try:
        return METHODS[name](**options)
    except (TypeError, ValueError) as error:
        raise TaskError(f"method_options={options} do not fit method {name!r}: {error}") from error

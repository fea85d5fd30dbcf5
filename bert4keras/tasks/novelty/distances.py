"""Novelty as a distance from known vectors: Mahalanobis' to label means, and to neighbours.

Symbols: N texts, D size of a vector, C labels, m_c mean of the vectors of label c, S their
covariance around these means.

| name | score, higher for foreign texts | source |
|---|---|---|
| mahalanobis | min_c (x - m_c)^T S^-1 (x - m_c) | Lee et al. 2018, arXiv 1807.03888 |
| neighbours | 1 - cosine to the k-th nearest known vector | Sun et al. 2022, arXiv 2204.06507 |

S is shrunk towards a multiple of the identity, (1 - d) S + d tr(S)/D I, with the intensity d of
Ledoit and Wolf 2004 ("A well-conditioned estimator for large-dimensional covariance matrices"), so
fewer texts than dimensions are enough.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..base import TaskError
from ..similarity.index import VectorIndex
from .methods import Encodings, NoveltyMethod, register_method


@register_method("mahalanobis")
class MahalanobisNovelty(NoveltyMethod):
    """Novelty as the squared Mahalanobis distance to the nearest label's mean.

    All labels share one covariance. Without labels there is one mean.
    """

    arrays: ClassVar[dict[str, tuple[str, int]]] = {
        "factor": ("float64", 2),  # (D, D), factor factor^T = S^-1
        "means": ("float64", 2),  # (C, D), times the factor
    }

    def fit(self, known: Encodings, labels: np.ndarray | None) -> None:
        x = known.vectors.astype("float64")
        labels = np.zeros(len(x), "int64") if labels is None else labels
        members = np.eye(int(labels.max()) + 1)[labels]
        # A label without texts here has no mean: it is left out by an infinite distance.
        counts = members.sum(axis=0)[:, None]
        means = np.where(counts > 0, members.T @ x / np.maximum(counts, 1), np.inf)
        residuals = x - means[labels]
        covariance = shrunk_covariance(residuals)
        variances, directions = np.linalg.eigh(covariance)
        if variances[0] <= 0:
            means_of = (
                f"the means of their {len(counts)} labels" if len(counts) > 1 else "their mean"
            )
            raise TaskError(
                f"the {len(x)} texts do not vary around {means_of}; a covariance needs several "
                "texts of a label."
            )
        self.factor = directions / np.sqrt(variances)
        present = np.isfinite(means)
        self.means = np.where(present, np.where(present, means, 0) @ self.factor, np.inf)

    def _distances(self, texts: Encodings) -> np.ndarray:
        """Return squared distances, (N, C)."""
        x = texts.vectors.astype("float64") @ self.factor
        present = np.isfinite(self.means[:, 0])
        means = np.where(present[:, None], self.means, 0)
        squares = (x**2).sum(1)[:, None] - 2 * x @ means.T + (means**2).sum(1)
        return np.where(present, np.maximum(squares, 0), np.inf)

    def score(self, texts: Encodings) -> np.ndarray:
        return self._distances(texts).min(axis=1)

    def nearest(self, texts: Encodings) -> np.ndarray | None:
        return self._distances(texts).argmin(axis=1) if len(self.means) > 1 else None


@register_method("neighbours")
class NeighbourNovelty(NoveltyMethod):
    """Novelty as the cosine distance to the k-th nearest known text.

    Args:
        k: which neighbour counts; the last one if there are fewer.
    """

    arrays: ClassVar[dict[str, tuple[str, int]]] = {
        "vectors": ("float32", 2),
        "labels": ("int64", 1),
    }
    labels: np.ndarray | None

    def __init__(self, k: int = 5):
        if k < 1:
            raise ValueError(f"k={k} must be at least 1.")
        self.k = k

    def fit(self, known: Encodings, labels: np.ndarray | None) -> None:
        self.vectors, self.labels = known.vectors, labels

    def score(self, texts: Encodings) -> np.ndarray:
        found = VectorIndex(self.vectors).search(texts.vectors, self.k)
        return 1 - found.scores[:, -1].astype("float64")

    def nearest(self, texts: Encodings) -> np.ndarray | None:
        if self.labels is None:
            return None
        return self.labels[VectorIndex(self.vectors).search(texts.vectors, 1).indices[:, 0]]


def shrunk_covariance(residuals: np.ndarray) -> np.ndarray:
    """Return the covariance (D, D) of vectors (N, D) of mean 0, shrunk as Ledoit and Wolf do."""
    count, size = residuals.shape
    covariance = residuals.T @ residuals / count
    target = np.trace(covariance) / size * np.eye(size)
    spread = np.sum((covariance - target) ** 2)
    fourth = np.sum(np.sum(residuals**2, axis=1) ** 2)
    noise = (fourth / count - np.sum(covariance**2)) / count
    intensity = float(np.clip(noise / spread, 0, 1)) if spread > 0 else 1.0
    return (1 - intensity) * covariance + intensity * target

"""Whitening of vectors.

Legend: N vectors, D their size, K the number of dimensions kept.
"""

from __future__ import annotations

import os

import numpy as np

from .arrays import VectorFileError, matrix, parts, read_arrays, save_arrays


class Whitening:
    """Linear map that gives vectors mean 0 and the identity as covariance.

        y = (x - mean) kernel,  kernel = U diag(1 / sqrt(s)),  U diag(s) U^T the covariance of x

    It makes a cosine of vectors that share a few large directions meaningful again, needs no
    labels and no training, and may keep the K directions of largest variance only.

    Args:
        mean: (D,).
        kernel: (D, K).

    Source: Su, Cao, Liu, Ou, Whitening Sentence Representations, 2021 (arXiv:2103.15316).

    Example:
        >>> whitening = Whitening.fit(encoder.predict(corpus), dim=256)
        >>> vectors = whitening(encoder.predict(texts))
    """

    def __init__(self, mean: np.ndarray, kernel: np.ndarray):
        self.mean, self.kernel = np.asarray(mean, "float32"), np.asarray(kernel, "float32")
        if self.kernel.ndim != 2 or self.mean.shape != self.kernel.shape[:1]:
            raise ValueError(
                f"mean {self.mean.shape} and kernel {self.kernel.shape} must be (D,) and (D, K)."
            )

    @classmethod
    def fit(cls, vectors: np.ndarray, dim: int | None = None) -> Whitening:
        """Return the whitening of a corpus.

        Args:
            vectors: (N, D), float; also a memory map, which is read in parts.
            dim: K, number of dimensions to keep; None: all in which the corpus varies.

        Raises:
            ValueError: fewer than 2 vectors, numbers that are not finite, or more dimensions asked
                for than there are (fewer than N vectors vary in fewer than N dimensions).
        """
        vectors = matrix(vectors, "vectors")
        count, size = vectors.shape
        if count < 2:
            raise ValueError(f"A covariance needs at least 2 vectors, got {count}.")
        mean = sum(part.sum(0) for part in parts(vectors)) / count
        covariance = sum((part - mean).T @ (part - mean) for part in parts(vectors)) / (count - 1)
        variances, directions = np.linalg.eigh(covariance)
        variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1]
        # A deviation within the rounding error of the input counts as 0; its inverse is noise.
        deviations = np.sqrt(variances)
        rank = int((deviations > deviations[0] * size * np.finfo("float32").eps).sum())
        if dim is not None and not 1 <= dim <= rank:
            raise ValueError(
                f"dim={dim} must be between 1 and {rank}, the dimensions in which these {count} "
                f"vectors of size {size} vary."
            )
        kept = dim or rank
        if not kept:
            raise ValueError(f"The {count} vectors are all the same.")
        return cls(mean, directions[:, :kept] / deviations[:kept])

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Map vectors (..., D) to (..., K), float32."""
        return (np.asarray(vectors, "float32") - self.mean) @ self.kernel

    def save(self, path: str | os.PathLike) -> None:
        """Write an `.npz` file, replacing an old one atomically."""
        save_arrays(path, {"mean": self.mean, "kernel": self.kernel})

    @classmethod
    def load(cls, path: str | os.PathLike) -> Whitening:
        """Read a file of `save`; nothing is unpickled.

        Raises:
            VectorFileError: the file is damaged, or another kind of file.
        """
        arrays = read_arrays(path, {"mean": ("float32", 1), "kernel": ("float32", 2)})
        mean, kernel = arrays["mean"], arrays["kernel"]
        if len(mean) != len(kernel):
            raise VectorFileError(path, "kernel", f"has {len(kernel)} rows, the mean {len(mean)}")
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise VectorFileError(path, name, "is not finite")
        return cls(mean, kernel)

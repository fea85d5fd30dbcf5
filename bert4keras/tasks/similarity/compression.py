"""Product quantisation: a vector is stored as a few bytes, and searched without decoding.

Symbols: N vectors x of size D, Q queries, M bytes of a code, K = 256 vectors of a codebook.

A vector is cut into M parts of D / M numbers, and each part is replaced by the nearest of the K
vectors of the part's codebook. Its number is one byte. The inner product of a query with a decoded
vector is a sum of M numbers from a table (K, M), which is made once for each query:

    <q, decode(code)> = sum_m table[code_m, m],  table[k, m] = <q_m, e_mk>

Queries stay exact, so this is the asymmetric distance of Jegou et al., Product Quantization for
Nearest Neighbor Search, 2011.
"""

from __future__ import annotations

import os

import numpy as np
from keras import ops

from ...latent import VectorQuantizer
from .arrays import ROWS, VectorFileError, matrix

_CODEBOOK_SIZE = 256
_TRAINED_ON = 100 * _CODEBOOK_SIZE  # vectors at most, chosen at random
_TRAINERS = ("vq", "kmeans")


class ProductQuantizer:
    """Codes of some bytes in place of vectors of floats.

    `"vq"` trains all codebooks at once by the moving averages of a `VectorQuantizer` over batches;
    `"kmeans"` trains one after the other by Lloyd's algorithm.

    Args:
        code_size: bytes of a code, M; must divide the size of the vectors.
        method: "vq" or "kmeans".
        seed: of the training.

    Raises:
        ValueError: an option out of range.

    Example:
        >>> index = encoder.index(texts, compression=ProductQuantizer(48))
        >>> index.search("The weather is bad.", k=1)
    """

    def __init__(self, code_size: int = 48, method: str = "vq", seed: int = 0):
        if code_size < 1:
            raise ValueError(f"code_size={code_size} must be at least 1 byte.")
        if method not in _TRAINERS:
            raise ValueError(f"method={method!r} must be 'vq' or 'kmeans'.")
        self.code_size, self.method, self.seed = code_size, method, seed
        self.codebooks: np.ndarray | None = None  # (M, K, D / M)

    @property
    def trained(self) -> bool:
        return self.codebooks is not None

    def fit(self, vectors: np.ndarray, epochs: int = 10) -> ProductQuantizer:
        """Train on vectors like those that will be stored.

        Args:
            vectors: (N, D), at least 256; of more than 25,600 a random choice is used.
            epochs: passes over these.

        Returns:
            The quantizer itself.

        Raises:
            ValueError: too few vectors, numbers that are not finite, or a size that cannot be cut.
        """
        vectors = matrix(vectors, "vectors")
        count, size = vectors.shape
        if size % self.code_size:
            raise ValueError(
                f"vectors of size {size} cannot be cut into {self.code_size} equal parts, one a "
                "byte: use a code_size that divides the size."
            )
        if count < _CODEBOOK_SIZE:
            raise ValueError(
                f"A codebook has {_CODEBOOK_SIZE} vectors and cannot be trained on {count}. Train "
                "it on more vectors of the same encoder first (fit), or store the floats."
            )
        chosen = np.random.default_rng(self.seed).permutation(count)[:_TRAINED_ON]
        sample = vectors[chosen].astype("float32")
        if self.method == "kmeans":
            parts = sample.reshape(len(sample), self.code_size, -1).swapaxes(0, 1)
            self.codebooks = np.stack([_kmeans(part, epochs, self.seed) for part in parts])
        else:
            self.codebooks = _moving_averages(sample, self.code_size, epochs, self.seed)
        return self

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the codes, uint8 (N, M), of vectors (N, D)."""
        books = self._trained_codebooks()
        vectors = matrix(vectors, "vectors")
        if vectors.shape[1] != self.size:
            raise ValueError(f"vectors have size {vectors.shape[1]}, the codes are of {self.size}.")
        codes = np.empty((len(vectors), self.code_size), "uint8")
        for start in range(0, len(vectors), ROWS):
            rows = vectors[start : start + ROWS].astype("float32")
            parts = rows.reshape(len(rows), self.code_size, -1)
            for m, book in enumerate(books):
                codes[start : start + ROWS, m] = _nearest(parts[:, m], book)
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return the vectors, float32 (N, D), of codes (N, M)."""
        books = self._trained_codebooks()
        return books[np.arange(self.code_size), codes].reshape(len(codes), -1)

    def tables(self, queries: np.ndarray) -> np.ndarray:
        """Return inner products of the parts of queries (Q, D) with all codes, (M, K, Q)."""
        books = self._trained_codebooks()
        parts = queries.reshape(len(queries), self.code_size, -1)
        return np.ascontiguousarray(np.matmul(books, parts.transpose(1, 2, 0)))

    @property
    def size(self) -> int:
        """Size D of the vectors; 0 before training."""
        return 0 if self.codebooks is None else self.codebooks.shape[0] * self.codebooks.shape[2]

    @classmethod
    def from_codebooks(cls, path: str | os.PathLike, books: np.ndarray) -> ProductQuantizer:
        """Return the quantizer whose codebooks (M, K, D / M) a file holds.

        Raises:
            VectorFileError: the codebooks have another shape, or are not finite.
        """
        if books.shape[1] != _CODEBOOK_SIZE or not books.size:
            raise VectorFileError(path, "codebooks", f"has the shape {books.shape}")
        if not np.isfinite(books).all():
            raise VectorFileError(path, "codebooks", "is not finite")
        quantizer = cls(len(books))
        quantizer.codebooks = books
        return quantizer

    def _trained_codebooks(self) -> np.ndarray:
        if self.codebooks is None:
            raise ValueError("this ProductQuantizer has no codebooks yet: call fit(vectors) first.")
        return self.codebooks


def table_scores(tables: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return inner products (Q, N) from tables (M, K, Q) and codes (N, M)."""
    total = np.zeros((len(codes), tables.shape[2]), "float32")
    for table, column in zip(tables, codes.T, strict=True):
        total += table.take(column, axis=0)
    return total.T


def _nearest(points: np.ndarray, book: np.ndarray) -> np.ndarray:
    """Return the number of the nearest of the vectors (K, d) to each point (N, d)."""
    return ((book**2).sum(1) - 2 * points @ book.T).argmin(axis=1)


def _kmeans(points: np.ndarray, rounds: int, seed: int) -> np.ndarray:
    """Return K means (K, d) of points (N, d) by Lloyd's algorithm.

    A mean without points moves to a random point.
    """
    rng = np.random.default_rng(seed)
    means = points[rng.choice(len(points), _CODEBOOK_SIZE, replace=False)].copy()
    for _ in range(rounds):
        nearest = _nearest(points, means)
        counts = np.bincount(nearest, minlength=_CODEBOOK_SIZE)
        sums = [np.bincount(nearest, column, _CODEBOOK_SIZE) for column in points.T]
        means = (np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None]).astype("float32")
        empty = np.flatnonzero(counts == 0)
        means[empty] = points[rng.choice(len(points), len(empty))]
    return means


def _moving_averages(x: np.ndarray, groups: int, epochs: int, seed: int) -> np.ndarray:
    """Return codebooks (M, K, d) that a `VectorQuantizer` learns from x (N, M d)."""
    rng = np.random.default_rng(seed)
    quantizer = VectorQuantizer(_CODEBOOK_SIZE, groups, moving_average=True, seed=seed)
    quantizer(x[:2048], training=True)  # a large first batch, from which all codes start
    batch = min(max(len(x) // 50, 32), 512)
    for epoch in range(epochs):
        # Short averages leave bad starts; long ones then lower the noise. From 0.9 to 0.99.
        quantizer.decay = 1 - 0.1 ** (1 + epoch / max(epochs - 1, 1))
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch):
            quantizer(x[order[start : start + batch]], training=True)
    return ops.convert_to_numpy(quantizer.vectors)

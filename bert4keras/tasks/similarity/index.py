"""Exact search for nearest neighbours among vectors of texts.

Legend: N vectors of the corpus, Q of queries, D their size.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .arrays import ROWS, VectorFileError, matrix, parts, read_arrays, save_arrays

_QUERIES = 256
METRICS = ("cosine", "dot")
TEXTS = {"text_bytes": ("uint8", 1), "text_ends": ("int64", 1)}


class Neighbours(NamedTuple):
    """Scores (Q, k), float32, and indices (Q, k), int64, of the nearest vectors, nearest first."""

    scores: np.ndarray
    indices: np.ndarray


class VectorIndex:
    """Exact search for the vectors of a corpus that are nearest to a query.

    Args:
        vectors: (N, D), float; kept as float32.
        texts: the N texts, stored with the vectors.
        metric: `"cosine"`, or `"dot"` for the inner product.

    Raises:
        ValueError: there are no vectors, some are not finite, or the texts are not as many.

    Example:
        >>> index = VectorIndex(encoder.predict(corpus), texts)
        >>> scores, indices = index.search(encoder.predict(questions), k=3)
        >>> [index.texts[i] for i in indices[0]]
    """

    def __init__(
        self, vectors: np.ndarray, texts: Sequence[str] | None = None, metric: str = "cosine"
    ):
        if metric not in METRICS:
            raise ValueError(f"metric must be 'cosine' or 'dot', not {metric!r}.")
        self.metric = metric
        self.vectors = self._prepared(vectors, "vectors")
        self.texts = None if texts is None else list(texts)
        if not len(self.vectors):
            raise ValueError("An index needs at least one vector.")
        if self.texts is not None and len(self.texts) != len(self.vectors):
            raise ValueError(f"{len(self.vectors)} vectors, but {len(self.texts)} texts.")

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: np.ndarray, k: int = 10) -> Neighbours:
        """Return the k nearest vectors of the corpus to each query.

        All are compared, in parts: beside the corpus and the result, memory is needed for some
        256 x 8192 scores at a time. Of equal scores the lower index comes first.

        Args:
            queries: (Q, D).
            k: number of results; all N if there are fewer.

        Returns:
            Scores, cosines or inner products, and indices into the corpus, (Q, min(k, N)) each.
        """
        if k < 1:
            raise ValueError(f"k={k} must be at least 1.")
        queries = self._prepared(queries, "queries")
        if queries.shape[1] != self.vectors.shape[1]:
            raise ValueError(
                f"queries have size {queries.shape[1]}, the index has {self.vectors.shape[1]}."
            )
        k = min(k, len(self))
        found = Neighbours(
            np.empty((len(queries), k), "float32"), np.empty((len(queries), k), "int64")
        )
        for start in range(0, len(queries), _QUERIES):
            rows = slice(start, start + _QUERIES)
            found.scores[rows], found.indices[rows] = self._search(queries[rows], k)
        return found

    def save(self, path: str | os.PathLike) -> None:
        """Write an `.npz` file, replacing an old one atomically."""
        arrays = {"vectors": self.vectors, "metric": np.array(self.metric)}
        if self.texts is not None:
            # As bytes, since an array of str takes the length of the longest text for each.
            coded = [text.encode("utf-8", "surrogatepass") for text in self.texts]
            arrays["text_bytes"] = np.frombuffer(b"".join(coded), "uint8")
            arrays["text_ends"] = np.cumsum([len(part) for part in coded], dtype="int64")
        save_arrays(path, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> VectorIndex:
        """Read a file of `save`, check it, and unpickle nothing.

        Raises:
            VectorFileError: the file is damaged, or another kind of file.
        """
        arrays = read_arrays(path, {"vectors": ("float32", 2), "metric": ("str", 0)}, TEXTS)
        vectors, metric = arrays["vectors"], str(arrays["metric"])
        if metric not in METRICS:
            raise VectorFileError(path, "metric", f"is {metric[:40]!r}, neither cosine nor dot")
        if not len(vectors):
            raise VectorFileError(path, "vectors", "has no rows")
        norms = np.concatenate([np.linalg.norm(part, axis=1) for part in parts(vectors)])
        unit = metric == "dot" or (np.abs(norms - 1) < 1e-3) | (norms < 1e-3)
        for good, fault in ((np.isfinite(norms), "finite"), (unit, "of length 1, as for cosines")):
            if not np.all(good):
                raise VectorFileError(path, "vectors", f"[{int(np.argmin(good))}] is not {fault}")
        index = cls.__new__(cls)  # the vectors are prepared already
        index.vectors, index.texts, index.metric = vectors, _read_texts(path, arrays), metric
        return index

    def _prepared(self, vectors: np.ndarray, name: str) -> np.ndarray:
        vectors = matrix(vectors, name).astype("float32", subok=False)
        if self.metric == "cosine":
            norms = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors /= np.where(norms > 0, norms, 1)
        return vectors

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scores = np.empty((len(queries), 0), "float32")
        indices = np.empty((len(queries), 0), "int64")
        for start in range(0, len(self), ROWS):
            part = queries @ self.vectors[start : start + ROWS].T
            places = _top_k(part, k)
            scores = np.concatenate([scores, np.take_along_axis(part, places, 1)], 1)
            indices = np.concatenate([indices, places + start], 1)
            # Earlier results have lower indices, so a stable sort keeps them first.
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            scores = np.take_along_axis(scores, order, 1)
            indices = np.take_along_axis(indices, order, 1)
        return scores, indices


def _top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Return indices of the k largest of each row, ascending; among equal ones the first."""
    rows, columns = scores.shape
    if k >= columns:
        return np.broadcast_to(np.arange(columns), (rows, columns))
    bound = np.partition(scores, columns - k, axis=1)[:, columns - k, None]
    above, equal = scores > bound, scores == bound
    room = k - above.sum(1, keepdims=True)
    chosen = above | (equal & (np.cumsum(equal, axis=1, dtype="int32") <= room))
    return np.nonzero(chosen)[1].reshape(rows, k)


def _read_texts(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> list[str] | None:
    missing = [name for name in TEXTS if name not in arrays]
    if len(missing) == len(TEXTS):
        return None
    if missing:
        raise VectorFileError(path, missing[0], "is missing, and the texts with it")
    data, ends = arrays["text_bytes"].tobytes(), arrays["text_ends"].tolist()
    count = len(arrays["vectors"])
    if len(ends) != count:
        raise VectorFileError(path, "text_ends", f"has {len(ends)} texts of {count} vectors")
    starts, texts = [0, *ends[:-1]], []
    if ends[-1] != len(data) or any(a > b for a, b in zip(starts, ends, strict=True)):
        raise VectorFileError(path, "text_ends", f"does not ascend from 0 to {len(data)}")
    for a, b in zip(starts, ends, strict=True):
        try:
            texts.append(data[a:b].decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            place = f"of text {len(texts)} are not UTF-8"
            raise VectorFileError(path, "text_bytes", place) from error
    return texts

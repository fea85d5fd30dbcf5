"""Search for nearest neighbours among vectors of texts, as floats or as codes of a few bytes.

Legend: N vectors of the corpus, Q of queries, D their size, M bytes of a code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .arrays import ROWS, VectorFileError, matrix, parts, read_arrays, save_arrays
from .compression import ProductQuantizer, table_scores

_QUERIES = 256
METRICS = ("cosine", "dot")
_INDEX_ARRAYS = {
    "metric": ("str", 0),
    "vectors": ("float32", 2),
    "codes": ("uint8", 2),
    "codebooks": ("float32", 3),
}
TEXTS = {"text_bytes": ("uint8", 1), "text_ends": ("int64", 1)}


class Neighbours(NamedTuple):
    """Scores (Q, k), float32, and indices (Q, k), int64, of the nearest vectors, nearest first."""

    scores: np.ndarray
    indices: np.ndarray


class VectorIndex:
    """Search for the vectors of a corpus that are nearest to a query, all of which are compared.

    Args:
        vectors: (N, D), float; kept as float32.
        texts: the N texts, stored with the vectors.
        metric: `"cosine"`, or `"dot"` for the inner product.
        compression: keep codes in place of the vectors; scores are then those of the decoded
            vectors. It is trained on `vectors` unless it was trained before.

    Attributes:
        codes: uint8 (N, M); None without compression.

    Raises:
        ValueError: there are no vectors, some are not finite, or the texts are not as many.

    Example:
        >>> index = VectorIndex(encoder.predict(corpus), texts)
        >>> scores, indices = index.search(encoder.predict(questions), k=3)
        >>> [index.texts[i] for i in indices[0]]
    """

    def __init__(
        self,
        vectors: np.ndarray,
        texts: Sequence[str] | None = None,
        metric: str = "cosine",
        compression: ProductQuantizer | None = None,
    ):
        if metric not in METRICS:
            raise ValueError(f"metric must be 'cosine' or 'dot', not {metric!r}.")
        self.metric, self.compression = metric, compression
        prepared = self._prepared(vectors, "vectors")
        self.texts = None if texts is None else list(texts)
        if not len(prepared):
            raise ValueError("An index needs at least one vector.")
        self._check_count(prepared, self.texts)
        if compression is not None and not compression.trained:
            compression.fit(prepared)
        self._stored = self._compressed(prepared)
        self._lengths = self._decoded_lengths(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def codes(self) -> np.ndarray | None:
        return None if self.compression is None else self._stored

    @property
    def vectors(self) -> np.ndarray:
        """The vectors, float32 (N, D): decoded if compressed, of unit length for cosines."""
        if self.compression is None:
            return self._stored
        return self.compression.decode(self._stored) / self._lengths[:, None]

    @property
    def size(self) -> int:
        """Size D of the vectors."""
        return self._stored.shape[1] if self.compression is None else self.compression.size

    def add(self, vectors: np.ndarray, texts: Sequence[str] | None = None) -> None:
        """Append vectors. Each call copies what is stored, so add many at a time.

        Args:
            vectors: (n, D).
            texts: their texts, if the index has texts.

        Raises:
            ValueError: another size, numbers that are not finite, or texts missing or too many.
        """
        prepared = self._sized(vectors, "vectors")
        if (texts is None) != (self.texts is None):
            raise ValueError(
                "the index holds vectors without texts, so none can be added."
                if self.texts is None
                else "the index holds texts: give those of the new vectors too."
            )
        self._check_count(prepared, texts)
        new = self._compressed(prepared)
        self._stored = np.concatenate([self._stored, new])
        self._lengths = np.concatenate([self._lengths, self._decoded_lengths(new)])
        if self.texts is not None and texts is not None:
            self.texts.extend(texts)

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
        queries = self._sized(queries, "queries")
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
        arrays = {"metric": np.array(self.metric)}
        if self.compression is None:
            arrays["vectors"] = self._stored
        else:
            arrays.update(codes=self._stored, codebooks=self.compression.codebooks)
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
        arrays = read_arrays(path, {}, {**_INDEX_ARRAYS, **TEXTS})
        stored = "codes" if "codes" in arrays else "vectors"
        for name in (stored, "metric", *(("codebooks",) if stored == "codes" else ())):
            if name not in arrays:
                raise VectorFileError(path, name, "is missing")
        metric = str(arrays["metric"])
        if metric not in METRICS:
            raise VectorFileError(path, "metric", f"is {metric[:40]!r}, neither cosine nor dot")
        index = cls.__new__(cls)  # the vectors are prepared already
        index.metric, index.compression, index._stored = metric, None, arrays[stored]
        if stored == "codes":
            index.compression = ProductQuantizer.from_codebooks(path, arrays["codebooks"])
            if index._stored.shape[1] != index.compression.code_size:
                fault = f"are of {index._stored.shape[1]} bytes, not {index.compression.code_size}"
                raise VectorFileError(path, "codes", fault)
        if not len(index):
            raise VectorFileError(path, stored, "has no rows")
        if index.compression is None:
            _check_vectors(path, index._stored, metric)
        index._lengths = index._decoded_lengths(index._stored)
        index.texts = _read_texts(path, arrays, len(index))
        return index

    def _check_count(self, vectors: np.ndarray, texts: Sequence[str] | None) -> None:
        if texts is not None and len(texts) != len(vectors):
            raise ValueError(f"{len(vectors)} vectors, but {len(texts)} texts.")

    def _compressed(self, vectors: np.ndarray) -> np.ndarray:
        return vectors if self.compression is None else self.compression.encode(vectors)

    def _decoded_lengths(self, stored: np.ndarray) -> np.ndarray:
        """Return the lengths of decoded vectors, float32 (N,); 1 where they are not divided by it.

        A decoded vector is shorter than the one that was encoded, by another factor for each.
        """
        lengths = np.ones(len(stored), "float32")
        if self.compression is not None and self.metric == "cosine":
            for start in range(0, len(stored), ROWS):
                rows = slice(start, start + ROWS)
                norms = np.linalg.norm(self.compression.decode(stored[rows]), axis=1)
                lengths[rows] = np.where(norms > 0, norms, 1)
        return lengths

    def _sized(self, vectors: np.ndarray, name: str) -> np.ndarray:
        vectors = self._prepared(vectors, name)
        if vectors.shape[1] != self.size:
            raise ValueError(f"{name} have size {vectors.shape[1]}, the index has {self.size}.")
        return vectors

    def _prepared(self, vectors: np.ndarray, name: str) -> np.ndarray:
        vectors = matrix(vectors, name).astype("float32", subok=False)
        if self.metric == "cosine":
            norms = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors /= np.where(norms > 0, norms, 1)
        return vectors

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scores = np.empty((len(queries), 0), "float32")
        indices = np.empty((len(queries), 0), "int64")
        tables = None if self.compression is None else self.compression.tables(queries)
        for start in range(0, len(self), ROWS):
            stored = self._stored[start : start + ROWS]
            if tables is None:
                part = queries @ stored.T
            else:
                part = table_scores(tables, stored) / self._lengths[start : start + ROWS]
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


def _check_vectors(path: str | os.PathLike, vectors: np.ndarray, metric: str) -> None:
    norms = np.concatenate([np.linalg.norm(part, axis=1) for part in parts(vectors)])
    unit = metric == "dot" or (np.abs(norms - 1) < 1e-3) | (norms < 1e-3)
    for good, fault in ((np.isfinite(norms), "finite"), (unit, "of length 1, as for cosines")):
        if not np.all(good):
            raise VectorFileError(path, "vectors", f"[{int(np.argmin(good))}] is not {fault}")


def _read_texts(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], count: int
) -> list[str] | None:
    missing = [name for name in TEXTS if name not in arrays]
    if len(missing) == len(TEXTS):
        return None
    if missing:
        raise VectorFileError(path, missing[0], "is missing, and the texts with it")
    data, ends = arrays["text_bytes"].tobytes(), arrays["text_ends"].tolist()
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

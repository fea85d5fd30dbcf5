"""Similarity of vectors, as sentence-transformers computes it.

Legend: N and M vectors, D their size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (..., D) of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (unit_rows(a) * unit_rows(b)).sum(-1)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1)


def _euclidean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return -np.sqrt(np.square(a - b).sum(-1))


def _manhattan(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return -np.abs(a - b).sum(-1)


SIMILARITIES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "cosine": _cosine,
    "dot": _dot,
    "euclidean": _euclidean,
    "manhattan": _manhattan,
}
"""Name -> similarity of vectors (..., D); distances are negated, so that more is more alike."""


def pairwise_similarity(a: np.ndarray, b: np.ndarray, name: str = "cosine") -> np.ndarray:
    """Return the similarity of each vector with its partner.

    Args:
        a, b: (N, D) each.
        name: one of `SIMILARITIES`.

    Returns:
        (N,), float32.
    """
    return SIMILARITIES[name](np.asarray(a, "float64"), np.asarray(b, "float64")).astype("float32")


def similarity_matrix(a: np.ndarray, b: np.ndarray, name: str = "cosine") -> np.ndarray:
    """Return the similarity of each vector of `a` with each of `b`.

    Args:
        a, b: (N, D) and (M, D).
        name: one of `SIMILARITIES`.

    Returns:
        (N, M), float32.
    """
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    if name in ("cosine", "dot"):
        a, b = (unit_rows(x) if name == "cosine" else x for x in (a, b))
        return (a @ b.T).astype("float32")
    rows = [SIMILARITIES[name](row[None], b) for row in a]  # (N, M, D) would not fit into memory
    return np.stack(rows).astype("float32") if rows else np.zeros((0, len(b)), "float32")

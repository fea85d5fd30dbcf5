"""Word vectors by counting: the matrix by hand, its factors, and growth from seeds."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras.text import WordVectors
from bert4keras.text.word_vectors import count_pairs

pytestmark = pytest.mark.spread


def test_pairs_are_counted():
    ids = np.array([0, 1, 1, -1, 2, 0])
    counts, slow = np.zeros((3, 3)), np.zeros((3, 3))
    count_pairs(ids, counts, window=2)
    for i in range(len(ids)):
        for j in range(len(ids)):
            if i != j and abs(i - j) <= 2 and ids[i] >= 0 and ids[j] >= 0:
                slow[ids[i], ids[j]] += 1
    assert (counts == slow).all()
    count_pairs(ids[:1], counts, window=2)
    assert (counts == slow).all()
    count_pairs(ids, counts, window=2)
    assert (counts == 2 * slow).all()


def test_vectors_of_full_size_give_the_matrix():
    rng = np.random.default_rng(0)
    half = rng.integers(0, 5, (8, 8))
    counts = half + half.T
    totals = counts.sum(1)
    context = totals**0.75 / (totals**0.75).sum()
    with np.errstate(divide="ignore"):
        ppmi = np.maximum(0, np.log(counts / totals[:, None] / context))
    ppmi = (ppmi + ppmi.T) / 2
    values, vectors = np.linalg.eigh(ppmi)
    expected = vectors * np.sqrt(np.abs(values))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = WordVectors("abcdefgh", counts, size=8)
    cosines = found.vectors @ found.vectors.T
    assert np.abs(cosines - expected @ expected.T).max() < 1e-4
    other = WordVectors("abcdefgh", half + half.T + np.eye(8) * 3, size=8)  # negative control
    assert np.abs(cosines - other.vectors @ other.vectors.T).max() > 0.05
    best, cosine = found.most_similar("a", 1)[0]
    assert "abcdefgh".index(best) == cosines[0, 1:].argmax() + 1
    assert cosine == pytest.approx(cosines[0, 1:].max())


def chain(degrees: list[float]) -> WordVectors:
    """Vectors in a plane at the angles given."""
    vectors = WordVectors("abcdefgh"[: len(degrees)], np.eye(len(degrees)), 2)
    angles = np.radians(degrees)
    vectors.vectors = np.stack([np.cos(angles), np.sin(angles)], 1)
    return vectors


def test_growth_needs_more_at_each_step():
    vectors = chain([0, 40, 80, 120, 160])  # cos 40 = 0.766; cos 80 = 0.174
    # Thresholds 0.6, 0.6885, 0.7574, 0.811: the fourth step is one too many.
    found = vectors.grow("a", min_similarity=0.6)
    assert list(found) == ["a", "b", "c", "d"]
    assert [steps for steps, _ in found.values()] == [0, 1, 2, 3]
    assert found["b"][1] == pytest.approx(np.cos(np.radians(40)))
    assert list(vectors.grow("a", min_similarity=0.6, rate=0.0)) == list("abcde")  # does not rise
    assert list(vectors.grow("a", min_similarity=0.8)) == ["a"]


def test_a_seed_without_a_vector_is_taken():
    assert chain([0, 10]).grow(["x"]) == {"x": (0, 1.0)}
    assert "x" not in chain([0, 10])


def test_words_without_neighbours():
    vectors = WordVectors("abc", np.zeros((3, 3)))
    assert (vectors.vectors == 0).all()
    assert list(vectors.grow("a")) == ["a"]

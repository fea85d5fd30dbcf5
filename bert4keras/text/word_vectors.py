"""Vectors of the words of a corpus, by counting, and sets of words that grow from seeds.

Symbols: V words, D size of a vector, c(a, b) how often the words a and b are at most `window` words
apart (texts and lines follow one another).

The matrix of positive pointwise mutual information,

    M(a, b) = max(0, log(c(a, b) c(*) / (c(a) c'(b))))

with contexts smoothed to the power 0.75, c'(b) ~ c(b)^0.75, is factored by its D largest singular
values: the vectors are the rows of U sqrt(S). Word2vec's skip-gram with negative samples factors
the same matrix shifted by a constant (Levy and Goldberg, 2014), and the two do equally well when
the options are equal (Levy, Goldberg and Dagan, 2015, TACL 3). Counting needs no training and no
learning rate, gives the same vectors each time, and takes seconds in numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


class WordVectors:
    """Vectors of length 1 of words.

    Args:
        words: the V words.
        cooccurrences: (V, V), symmetric: how often two words are near each other.
        size: D, at most V.
    """

    def __init__(self, words: Sequence[str], cooccurrences: np.ndarray, size: int = 100):
        self.words, self._places = list(words), {word: i for i, word in enumerate(words)}
        vectors = _factor(_ppmi(cooccurrences), min(size, len(self.words)))
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors = vectors / np.where(norms > 0, norms, 1)

    def __contains__(self, word: str) -> bool:
        return word in self._places

    def most_similar(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """Return the other words with the largest cosine, and it."""
        place = self._places[word]
        cosines = self.vectors @ self.vectors[place]
        best = [i for i in np.argsort(-cosines, kind="stable").tolist() if i != place]
        return [(self.words[i], float(cosines[i])) for i in best[:count]]

    def grow(
        self,
        seeds: Iterable[str],
        min_similarity: float = 0.5,
        max_similarity: float = 1.0,
        rate: float = 0.25,
        neighbours: int = 10,
    ) -> dict[str, tuple[int, float]]:
        """Find the words that are reached from seeds in steps between similar words.

        The similarity that a step needs rises with the number k of the steps before it, so that a
        chain of words does not drift away:

            min_similarity + (max_similarity - min_similarity) (1 - exp(-rate k))

        Source: Su Jianlin, 2019 (kexue.fm/archives/6540).

        Args:
            seeds: words; those without a vector are taken, but lead nowhere.
            min_similarity, max_similarity, rate: the threshold; cosines.
            neighbours: most similar words of each word that are looked at.

        Returns:
            Word -> (steps from the seeds, cosine of the last step), in the order of finding.
        """
        found = dict.fromkeys(seeds, (0, 1.0))
        waiting = list(found)
        for word in waiting:  # grows
            steps = found[word][0]
            limit = max_similarity - (max_similarity - min_similarity) * np.exp(-rate * steps)
            near = self.most_similar(word, neighbours) if word in self else []
            for other, cosine in near:
                if cosine >= limit and other not in found:
                    found[other] = steps + 1, cosine
                    waiting.append(other)
        return found


def count_pairs(ids: np.ndarray, counts: np.ndarray, window: int) -> None:
    """Add the pairs of words that are near each other to a matrix of counts.

    Args:
        ids: (S,), numbers of consecutive words; -1: another word.
        counts: (V, V); each pair counts in both directions.
        window: largest distance.
    """
    size = len(counts)
    for distance in range(1, min(window, len(ids) - 1) + 1):
        a, b = ids[:-distance], ids[distance:]
        near = (a >= 0) & (b >= 0)
        keys, found = np.unique(a[near] * size + b[near], return_counts=True)
        rows, columns = np.divmod(keys, size)
        counts[rows, columns] += found
        counts[columns, rows] += found


def _ppmi(counts: np.ndarray, smoothing: float = 0.75) -> np.ndarray:
    """Return the symmetric mean of the two ways to read a pair as word and context: (V, V)."""
    counts = counts.astype("float32")
    words = counts.sum(1)
    contexts = words**smoothing
    contexts /= max(contexts.sum(), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        pmi = np.log(counts / (words[:, None] * contexts))
    pmi = np.where(np.isfinite(pmi), np.maximum(pmi, 0), 0)
    return (pmi + pmi.T) / 2


def _factor(matrix: np.ndarray, size: int, rounds: int = 6) -> np.ndarray:
    """Return U sqrt(S) of a symmetric matrix, by subspace iteration from fixed random vectors."""
    extra = min(len(matrix), size + 20)
    basis = np.random.default_rng(0).normal(size=(len(matrix), extra)).astype("float32")
    for _ in range(rounds):
        basis, _ = np.linalg.qr(matrix @ basis)
    values, inner = np.linalg.eigh(basis.T @ matrix @ basis)
    largest = np.argsort(-np.abs(values), kind="stable")[:size]
    return basis @ inner[:, largest] * np.sqrt(np.abs(values[largest]))

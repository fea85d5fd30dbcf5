"""Terms of a domain: its words that a general corpus does not have, or has less often.

The words of the domain corpus are found as by `find_words`. The general corpus is cut by the same
strong n-grams, so that both are counted by one rule. A word that is c of the n words of the domain
and d of the m words of the general corpus has Dunning's log-likelihood ratio

    G2 = 2 sum over the 4 cells O of log(O / E) O,  cells c, n - c, d, m - d,

where E is what the cell would be if both corpora had the word at the same rate. Under that
hypothesis it is distributed as chi-squared with one degree of freedom. It is also right for rare
words, and for d = 0, where a ratio of frequencies is not defined (Dunning, 1993, Computational
Linguistics 19).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .corpus import CodedCorpus, Corpus
from .cutting import count_segments, cut_blocks, list_words, measure_words
from .new_words import MIN_PMI, check_options, strong_ngrams
from .ngrams import NGrams
from .units import UnitVocabulary
from .word_vectors import WordVectors, count_pairs

_VECTORS = 4000  # words of the domain that have vectors: the most frequent
_WINDOW = 5


class Term(NamedTuple):
    """A word of the domain, and its figures in both corpora.

    Attributes:
        text: the word, without case and full-width forms.
        score: log-likelihood ratio, above 10.8 with a probability of 0.001 if the word is no term.
        count, general_count: how often it occurs in the domain and in the general corpus.
        ratio: how much more frequent it is in the domain, by counts with 1/2 added to each.
        pmi: pointwise mutual information at its weakest place in the domain, in nats.
        general_pmi: the same in the general corpus, -inf if it does not occur there.
        steps: number of steps from a seed word; 0 for a seed and without seeds.
        similarity: cosine of the last of these steps.
    """

    text: str
    score: float
    count: int
    general_count: int
    ratio: float
    pmi: float
    general_pmi: float
    steps: int = 0
    similarity: float = 1.0


def find_terms(
    domain_corpus: Corpus,
    general_corpus: Corpus,
    min_count: int = 8,
    order: int = 4,
    min_pmi: Sequence[float] | float = MIN_PMI,
    min_length: int = 2,
    min_score: float = 10.83,
    min_ratio: float = 2.0,
    function_words: int = 100,
    seeds: Iterable[str] = (),
    min_similarity: float = 0.5,
    encoding: str | None = None,
    progress: bool | None = None,
) -> list[Term]:
    """Find the terms of a domain: words that it uses more than general text does.

    Args:
        domain_corpus, general_corpus: as for `find_words`, whose notes on languages apply.
        min_count, order, min_pmi, min_length: as for `find_words`, for the domain corpus.
        min_score: least log-likelihood ratio; 10.83 is the 0.001 level of one test.
        min_ratio: least ratio of the frequencies in both corpora.
        function_words: no term begins or ends with one of so many most frequent words of the
            general corpus ("the camera", "made of"). Characters are not meant, only words.
        seeds: some known terms. If there are any, only terms are returned that are reached from
            them in steps between words of similar context; see `WordVectors.grow`.
        min_similarity: cosine that the first such step needs.
        encoding, progress: as for `find_words`.

    Returns:
        The terms, those with the largest score first.

    Raises:
        DataFileError, TypeError, ValueError: as for `find_words`.
    """
    thresholds = check_options(min_count, order, min_pmi, min_length)
    vocabulary, seeds = UnitVocabulary(), _check_seeds(seeds)
    with (
        CodedCorpus(domain_corpus, vocabulary, encoding, progress, "domain corpus") as domain,
        CodedCorpus(general_corpus, vocabulary, encoding, progress, "general corpus") as general,
    ):
        ngrams = NGrams.count(domain, order, min_count)
        strong = strong_ngrams(ngrams, thresholds)
        segments = count_segments(domain, ngrams, strong)
        words = list_words(ngrams, segments, min_count)
        ours = measure_words(words, ngrams, segments)
        elsewhere = ngrams.recount(general)
        others = count_segments(general, elsewhere, strong)
        theirs = measure_words(words, elsewhere, others)
        names = [vocabulary.join(ngrams.units[list(word)]) for word in words]
        functional = _function_words(general, vocabulary, function_words)
        ends = [set(ngrams.units[[word[0], word[-1]]].tolist()) for word in words]
        reached = dict.fromkeys(names, (0, 1.0))
        if seeds:
            chosen = np.argsort(-ours[0], kind="stable")[:_VECTORS]
            pairs = _count_neighbours(domain, ngrams, strong, [words[i] for i in chosen])
            vectors = WordVectors([names[i] for i in chosen], pairs)
            reached = vectors.grow(seeds, min_similarity)
    scores = log_likelihood_ratio(ours[0], segments.total, theirs[0], others.total)
    ratios = (ours[0] + 0.5) / (segments.total + 1) * (others.total + 1) / (theirs[0] + 0.5)
    rows = zip(names, scores, ours[0], theirs[0], ratios, ours[1], theirs[1], strict=True)
    terms = [
        Term(name, *(figure.item() for figure in figures), *reached[name])
        for word, edges, (name, *figures) in zip(words, ends, rows, strict=True)
        if name in reached and len(word) >= min_length and not edges & functional
    ]
    terms = [term for term in terms if term.score >= min_score and term.ratio >= min_ratio]
    return sorted(terms, key=lambda term: (-term.score, term.text))


def log_likelihood_ratio(count, total, general_count, general_total) -> np.ndarray:
    """Return Dunning's G2 of words: 0 if both corpora have them at the same rate.

    Args:
        count, general_count: how often each word occurs: arrays or numbers.
        total, general_total: number of all words of each corpus.
    """
    cells = np.array(
        [[count, total - count], [general_count, general_total - general_count]], float
    )
    expected = cells.sum(0)[None] * cells.sum(1)[:, None] / cells.sum((0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 2 * np.where(cells > 0, cells * np.log(cells / expected), 0).sum((0, 1))


def _check_seeds(seeds: Iterable[str]) -> list[str]:
    if isinstance(seeds, str):
        raise TypeError(f"seeds is the text {seeds!r}; give a list of words.")
    vocabulary = UnitVocabulary()
    return [vocabulary.join(vocabulary.encode(seed).tolist()) for seed in seeds]


def _function_words(corpus: CodedCorpus, vocabulary: UnitVocabulary, count: int) -> set[int]:
    """Return the codes of the most frequent words of letters."""
    counts = np.where(vocabulary.is_letters[: len(corpus.counts)], corpus.counts, 0)
    best = np.argsort(-counts, kind="stable")[:count]
    return set(best[counts[best] > 0].tolist())


def _count_neighbours(
    corpus: CodedCorpus, ngrams: NGrams, strong: list[np.ndarray], words: list[tuple[int, ...]]
) -> np.ndarray:
    """Return how often two words are near each other on a line of the corpus: (V, V)."""
    pairs = np.zeros((len(words), len(words)))
    ids = [np.full(len(keys) + 1, -1) for keys in ngrams.keys]  # the last one: place -1
    long = {}
    for number, word in enumerate(words):
        if len(word) > ngrams.order:
            long[np.array(word, "uint32").tobytes()] = number
        else:
            key = ngrams.pack(np.array([word]))
            ids[len(word) - 1][ngrams.find(key, len(word))] = number
    for cut in cut_blocks(corpus, ngrams, strong):
        stream = np.full(len(cut.starts), -1)
        for n in range(1, ngrams.order + 1):
            stream[cut.lengths == n] = ids[n - 1][cut.places[cut.lengths == n]]
        chosen, keys = cut.long_words()
        stream[chosen] = [long.get(key, -1) for key in keys]
        count_pairs(stream, pairs, _WINDOW)
    return pairs

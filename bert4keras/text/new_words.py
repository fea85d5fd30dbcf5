"""Words of a corpus found without a dictionary: from n-grams that hold together.

1. Count all n-grams of units (characters of Chinese, words of English), n = 1..N.
2. Keep the *strong* ones: PMI(w) = min over cuts w = ab of log(T c(w) / (c(a) c(b))) is at least a
   threshold that rises with n. T is the number of units, c a count.
3. Cut the corpus wherever no strong n-gram spans, so overlapping ones are linked to longer words.
4. Keep a segment of up to N units if it is strong, a longer one if all its windows of N units are.

Source: Su Jianlin, "The best unsupervised word segmentation by fast n-gram counting", 2019
(kexue.fm/archives/6920), with the thresholds 0, 2, 4, 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .corpus import CodedCorpus, Corpus
from .cutting import count_segments, list_words, measure_words
from .ngrams import ORDERS, NGrams
from .units import UnitVocabulary
from .word_list import Word, WordList

MIN_PMI = (0.0, 2.0, 4.0, 6.0)


def find_words(
    corpus: Corpus,
    min_count: int = 8,
    order: int = 4,
    min_pmi: Sequence[float] | float = MIN_PMI,
    min_length: int = 1,
    encoding: str | None = None,
    progress: bool | None = None,
) -> WordList:
    """Find the words of a corpus; in a language with blanks, its fixed phrases.

    A unit is a character of a script without blanks (Chinese, Japanese, Thai), otherwise a word, so
    an English corpus gives terms of several words. The corpus is read once and may be larger than
    memory; its units are kept in a temporary file of 4 bytes each.

    Args:
        corpus: path of a text file (also `*.xz`, `*.gz`), or an iterable of texts (str) and files
            (`pathlib.Path`). No word spans two lines.
        min_count: least number of occurrences, as an n-gram and as a word. About 8 for a million
            characters, 32 for a hundred million.
        order: N, the length of the longest n-gram that is counted: 2, 3 or 4.
        min_pmi: least PMI of an n-gram of 1, 2, .. N units, in nats (that of a single unit, 0, is
            not used); or one number for all. An n-gram with c occurrences among N units has at most
            log(N / c), so a corpus of less than 100,000 units needs lower ones.
        min_length: least number of units of a word. 1 gives single characters too, which the
            segmenter needs.
        encoding: encoding of the files; None means UTF-8.
        progress: show bars; None: only on a terminal.

    Returns:
        The words, the most frequent first. A corpus in which nothing is repeated has none.

    Raises:
        DataFileError: a file cannot be read or is not text; the message names the line.
        TypeError: the corpus has something that is neither text nor file.
        ValueError: a corpus without text, or a wrong argument.
    """
    thresholds = check_options(min_count, order, min_pmi, min_length)
    vocabulary = UnitVocabulary()
    with CodedCorpus(corpus, vocabulary, encoding, progress) as coded:
        ngrams = NGrams.count(coded, order, min_count)
        strong = strong_ngrams(ngrams, thresholds)
        segments = count_segments(coded, ngrams, strong)
        words = list_words(ngrams, segments, min_count)
        counts, pmi = measure_words(words, ngrams, segments)
        return WordList(
            Word(vocabulary.join(ngrams.units[list(word)]), int(count), float(firmness))
            for word, count, firmness in zip(words, counts, pmi, strict=True)
            if len(word) >= min_length
        )


def strong_ngrams(ngrams: NGrams, thresholds: Sequence[float]) -> list[np.ndarray]:
    """Return, for each length, which n-grams have a PMI of at least its threshold."""
    return [ngrams.pmi(n) >= (limit if n > 1 else 0.0) for n, limit in enumerate(thresholds, 1)]


def check_options(
    min_count: int, order: int, min_pmi: Sequence[float] | float, min_length: int
) -> list[float]:
    """Check the arguments of `find_words`; return a threshold for each n-gram length."""
    for name, value in (("min_count", min_count), ("min_length", min_length)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} is {value!r}; it must be an integer of at least 1.")
    if order not in ORDERS:
        raise ValueError(f"order is {order!r}; it must be 2, 3 or 4.")
    if isinstance(min_pmi, (int, float)):
        min_pmi = [min_pmi] * order
    elif min_pmi is MIN_PMI:
        min_pmi = MIN_PMI[:order]
    thresholds = [float(limit) for limit in min_pmi]
    if len(thresholds) != order or any(map(math.isnan, thresholds)):
        raise ValueError(
            f"min_pmi is {min_pmi!r}; it must be one number, or {order} numbers, for n-grams of 1 "
            f"to {order} units."
        )
    return thresholds

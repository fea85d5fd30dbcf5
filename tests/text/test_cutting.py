"""Cutting of a corpus against brute force."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert4keras.text import corpus
from bert4keras.text.corpus import CodedCorpus
from bert4keras.text.cutting import count_segments, list_words, measure_words
from bert4keras.text.new_words import strong_ngrams
from bert4keras.text.ngrams import NGrams
from bert4keras.text.units import UnitVocabulary

pytestmark = pytest.mark.spread

TEXTS = st.lists(st.text("甲乙丙丁，", min_size=1, max_size=30), min_size=1, max_size=6)
TEXTS = TEXTS.filter(lambda texts: any(set(text) - {"，"} for text in texts))


def slowly(texts, strong: set[str], order: int) -> tuple[Counter, int]:
    """Counts of the kept segments, and the number of all segments."""
    kept, total = Counter(), 0
    for text in texts:
        for piece in filter(None, text.split("，")):
            joined = [
                any(
                    start <= i and i + 1 < end and piece[start:end] in strong
                    for start in range(len(piece))
                    for end in range(start + 2, min(start + order, len(piece)) + 1)
                )
                for i in range(len(piece) - 1)
            ]
            segments, start = [], 0
            for i in range(len(piece)):
                if i == len(piece) - 1 or not joined[i]:
                    segments.append(piece[start : i + 1])
                    start = i + 1
            total += len(segments)
            for word in segments:
                windows = [word[i : i + order] for i in range(len(word) - order + 1)]
                if len(word) == 1 or (
                    word in strong if len(word) <= order else set(windows) <= strong
                ):
                    kept[word] += 1
    return kept, total


def both(texts, order: int, thresholds):
    vocabulary = UnitVocabulary()
    with CodedCorpus(texts, vocabulary) as coded:
        ngrams = NGrams.count(coded, order, 1)
        flags = strong_ngrams(ngrams, thresholds)
        segments = count_segments(coded, ngrams, flags)
    strong = {
        vocabulary.join(ngrams.units[row])
        for n in range(2, order + 1)
        for row in ngrams.unpack(ngrams.keys[n - 1][flags[n - 1]], n).astype(int)
    }
    words = list_words(ngrams, segments, 1)
    counts, pmi = measure_words(words, ngrams, segments)
    names = [vocabulary.join(ngrams.units[list(word)]) for word in words]
    found = dict(zip(names, counts.tolist(), strict=True))
    return found, segments.total, dict(zip(names, pmi.tolist(), strict=True)), strong


@settings(max_examples=60)
@given(TEXTS, st.integers(2, 4), st.floats(-0.5, 2.0))
def test_segments_are_those_of_brute_force(texts, order, threshold):
    found, total, _, strong = both(texts, order, [threshold] * order)
    expected, all_segments = slowly(texts, strong, order)
    assert found == dict(expected)
    assert total == all_segments


def test_linked_words_need_strong_windows():
    """Of a long segment all windows must be strong; a chance joint of two words is not a word."""
    texts = ["甲乙丙丁戊"] * 5 + ["己庚", "辛壬"] * 5 + ["己庚辛壬"] + ["癸", "子"] * 9
    found, _, pmi, strong = both(texts, 3, [0.0, 0.5, 1.0])
    assert found["甲乙丙丁戊"] == 5
    assert pmi["甲乙丙丁戊"] > 1
    assert {"甲乙丙", "丙丁戊"} <= strong
    assert "庚辛" in strong  # joins them, so that
    assert "己庚辛壬" not in found  # is one segment, which is no word
    assert found["己庚"] == 5


def test_blocks_do_not_matter(monkeypatch):
    texts = ["甲乙丙丁，丙丁", "乙丙，甲乙", "丁甲"] * 7
    whole = both(texts, 3, [0.3] * 3)
    monkeypatch.setattr(corpus, "_BLOCK", 8)
    assert both(texts, 3, [0.3] * 3) == whole
    assert both(texts[:-1], 3, [0.3] * 3) != whole  # negative control

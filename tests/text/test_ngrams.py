"""N-gram counts against a dictionary, PMI by hand."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert4keras.text import corpus, ngrams
from bert4keras.text.corpus import CodedCorpus
from bert4keras.text.ngrams import NGrams
from bert4keras.text.units import UnitVocabulary

pytestmark = pytest.mark.spread

DATASETS = Path(__file__).parents[2] / "examples" / "datasets"
TEXTS = st.lists(
    st.text("abc，".replace("a", "甲").replace("b", "乙").replace("c", "丙"), max_size=20)
)
TEXTS = TEXTS.filter(lambda texts: any(set(text) - {"，"} for text in texts))


def counted(texts, order: int, min_count: int) -> tuple[NGrams, dict[str, int]]:
    """The n-grams, and their counts by their text."""
    vocabulary = UnitVocabulary()
    with CodedCorpus(texts, vocabulary) as coded:
        found = NGrams.count(coded, order, min_count)
    return found, as_dictionary(found, vocabulary)


def as_dictionary(found: NGrams, vocabulary: UnitVocabulary) -> dict[str, int]:
    return {
        vocabulary.join(found.units[row]): int(count)
        for n, (keys, counts) in enumerate(zip(found.keys, found.counts, strict=True), 1)
        for row, count in zip(found.unpack(keys, n).astype(int), counts, strict=True)
    }


def by_dictionary(texts, order: int, min_count: int) -> dict[str, int]:
    """Counts by a plain dictionary, over pieces without punctuation."""
    counts = Counter(
        piece[i : i + n]
        for text in texts
        for piece in "".join(c if c.isalnum() else " " for c in text).split()
        for n in range(1, order + 1)
        for i in range(len(piece) - n + 1)
    )
    return {text: count for text, count in counts.items() if count >= min_count}


@given(TEXTS, st.integers(2, 4), st.integers(1, 4))
def test_counts_are_those_of_a_dictionary(texts, order, min_count):
    assert counted(texts, order, min_count)[1] == by_dictionary(texts, order, min_count)


def test_counts_of_real_text():
    texts = (DATASETS / "titles" / "train.tsv").read_text(encoding="utf-8").splitlines()
    expected = by_dictionary(texts, 4, 3)
    assert len(expected) > 3000
    assert counted(texts, 4, 3)[1] == expected
    changed = [*texts, "石桥镇"]  # negative control: one occurrence more is seen
    assert counted(changed, 4, 3)[1] != expected


def test_counts_of_words():
    found = counted(["the cat sat", "The cat, the cat sat"], 3, 2)[1]
    assert found == {"the": 3, "cat": 3, "sat": 2, "the cat": 3, "cat sat": 2, "the cat sat": 2}


def test_several_passes_and_small_blocks_give_the_same(monkeypatch):
    texts = (DATASETS / "corpus_zh.txt").read_text(encoding="utf-8").splitlines()
    expected = counted(texts, 4, 2)[1]
    assert max(expected.values()) > 50
    passes = []
    collect = NGrams._collect
    monkeypatch.setattr(NGrams, "_collect", lambda *args: passes.append(1) or collect(*args))
    monkeypatch.setattr(ngrams, "MAX_KEYS", 100)
    monkeypatch.setattr(corpus, "_BLOCK", 64)
    assert counted(texts, 4, 2)[1] == expected
    assert counted(["\n".join(texts)], 4, 2)[1] == expected  # one long text is divided at lines
    assert len(passes) > 20


def test_a_line_longer_than_a_block_is_divided(monkeypatch):
    monkeypatch.setattr(corpus, "_BLOCK", 10)
    assert counted(["甲乙" * 50], 2, 1)[1]["甲乙"] == 50
    assert 20 <= counted(["甲乙丙丁" * 25], 4, 1)[1]["乙丙"] < 25  # some cuts are in it


def test_pmi_by_hand():
    texts = ["甲乙"] * 6 + ["甲丙", "丙乙"] * 2 + ["丁甲乙"] * 3 + ["丁"]
    found, counts = counted(texts, 3, 1)
    total = 2 * 6 + 4 * 2 + 3 * 3 + 1
    assert (found.total, counts["甲乙"], counts["丁甲乙"]) == (total, 9, 3)
    (place,) = found.find(found.pack(np.array([[rank(found, c, texts) for c in "甲乙"]])), 2)
    assert found.pmi(2)[place] == pytest.approx(math.log(total * 9 / (11 * 11)))
    (place,) = found.find(found.pack(np.array([[rank(found, c, texts) for c in "丁甲乙"]])), 3)
    cuts = [total * 3 / (4 * 9), total * 3 / (3 * 11)]  # 丁|甲乙 and 丁甲|乙
    assert found.pmi(3)[place] == pytest.approx(math.log(min(cuts)))
    assert found.pmi(3)[place] != pytest.approx(math.log(max(cuts)))
    assert found.pmi(1).tolist() == [0.0] * 4


def rank(found: NGrams, char: str, texts: list[str]) -> int:
    vocabulary = UnitVocabulary()
    vocabulary.encode("\n".join(texts) + "\n")
    return int(found.ranks[vocabulary.encode(char)[0]])


def test_recount_in_another_corpus():
    vocabulary = UnitVocabulary()
    ours, theirs = ["甲乙丙，乙丙", "甲乙"], ["丁甲乙", "乙乙丙丁甲乙丙"]
    with CodedCorpus(ours, vocabulary) as a, CodedCorpus(theirs, vocabulary) as b:
        first = NGrams.count(a, 3, 1)
        second = first.recount(b)
    expected = by_dictionary(theirs, 3, 1)
    found = as_dictionary(second, vocabulary)
    assert found == {text: expected.get(text, 0) for text in as_dictionary(first, vocabulary)}
    assert found["甲乙丙"] == 1
    assert second.pmi(2).min() > -np.inf
    assert (first.total, second.total) == (7, 10)


def test_too_many_units_for_the_order(monkeypatch):
    texts = ["".join(chars) for chars in itertools.permutations("甲乙丙丁", 3)] + ["甲甲"]
    monkeypatch.setattr(ngrams, "_frequent_units", limited(3))
    with pytest.warns(UserWarning, match="4 units occur at least 1 times.* the 3 most frequent"):
        _, found = counted(texts, 2, 1)
    full = by_dictionary(texts, 2, 1)
    assert 0 < len(found) < len(full)
    assert {text: full[text] for text in found} == found


def limited(limit: int):
    original = ngrams._frequent_units
    return lambda counts, min_count, _: original(counts, min_count, limit)

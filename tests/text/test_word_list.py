"""A list of words cuts texts into the most probable sequence, and is saved for other programs."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert4keras.data import DataFileError
from bert4keras.text import Word, WordList
from bert4keras.tokenizers import Tokenizer

pytestmark = pytest.mark.spread

WORDS = st.dictionaries(st.text("甲乙丙", min_size=1, max_size=4), st.integers(1, 50), max_size=8)


def slowly(text: str, words: dict[str, int]) -> float:
    """The log-probability of the best of all cuts."""
    total, best = max(1, sum(words.values())), -math.inf
    for cuts in itertools.product((False, True), repeat=max(0, len(text) - 1)):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut] + [len(text)]
        pieces = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        if all(piece in words or len(piece) == 1 for piece in pieces):
            best = max(best, logarithm(pieces, words, total))
    return best


def logarithm(pieces: list[str], words: dict[str, int], total: int) -> float:
    return sum(math.log(words.get(piece, 1) / total) for piece in pieces)


@given(WORDS, st.text("甲乙丙丁", min_size=1, max_size=9))
def test_the_cut_is_the_most_probable(words, text):
    found = WordList(words.items()).cut(text)
    assert "".join(found) == text
    total = max(1, sum(words.values()))
    assert logarithm(found, words, total) == pytest.approx(slowly(text, words))


def test_a_frequent_word_wins():
    text = "研究生命"
    assert WordList({"研究": 20, "生命": 20, "研究生": 5, "命": 5}.items()).cut(text) == [
        "研究",
        "生命",
    ]
    assert WordList({"研究": 1, "生命": 1, "研究生": 50, "命": 50}.items()).cut(text) == [
        "研究生",
        "命",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我爱NEW  York……好", ["我", "爱", "NEW  York", "……", "好"]),
        ("new, york", ["new", ",", "york"]),
        ("中国\n中国人１２", ["中国", "中国", "人", "１２"]),
        ("。！！ ok", ["。", "！！", "ok"]),
        ("", []),
        (" \n", []),
    ],
)
def test_texts_as_they_are_written(text, expected):
    assert WordList({"中国": 9, "new york": 3}.items())(text) == expected


def test_words_are_sorted_and_shown():
    words = WordList([("乙", 1), ("甲", 5), ("丙", 1)])
    assert [word.text for word in words] == ["甲", "丙", "乙"]
    assert words[0] == ("甲", 5, words[0].pmi)
    assert len(words[1:]) == 2
    assert repr(words) == "WordList(3 words: 甲 5, 丙 1, 乙 1)"


def test_saved_and_loaded(tmp_path):
    words = WordList([Word("中国", 9, 2.5), Word("new york", 3, 4.0)])
    words.save(tmp_path / "words.txt")
    assert (tmp_path / "words.txt").read_text(encoding="utf-8") == "中国 9\nnew york 3\n"
    loaded = WordList.load(tmp_path / "words.txt")
    assert [word[:2] for word in loaded] == [word[:2] for word in words]
    assert loaded.cut("中国New York") == ["中国", "New York"]


def test_a_dictionary_of_jieba(tmp_path):
    path = tmp_path / "dict.txt"
    path.write_text("T恤 4 n\n\nt恤 3 n\nAT&T 3 nz\n中国 9 ns\n", encoding="utf-8")
    with pytest.warns(
        UserWarning, match=re.escape("1 words are left out, as they have punctuation marks: at&t.")
    ):
        words = WordList.load(path)
    assert [(word.text, word.count) for word in words] == [("中国", 9), ("t恤", 7)]


@pytest.mark.parametrize("line", ["中国", "中国 many", "中国 0"])
def test_a_line_without_a_count(tmp_path, line):
    path = tmp_path / "dict.txt"
    path.write_text(f"甲 1\n\n{line}\n", encoding="utf-8")
    with pytest.raises(
        DataFileError, match=f"line 3: expected a word, a blank and a count above 0, not '{line}'"
    ):
        WordList.load(path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([("甲", 1), ("甲", 2)], "The word '甲' is given twice"),
        ([("Ab", 1), ("aB", 2)], "The word 'aB' is given twice (case does not count)"),
        ([("", 1)], "'' is no word"),
        ([("甲，乙", 1)], "'甲，乙' is no word: it has a blank or a punctuation mark"),
        ([("甲", 0)], "The word '甲' has the count 0, not 1 or more"),
    ],
)
def test_wrong_words(words, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        WordList(words)


def test_as_the_pre_tokenizer_of_a_tokenizer():
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "中国",
        "人",
        "中",
        "国",
        "new york",
    ]
    tokens = {token: i for i, token in enumerate(vocabulary)}
    words = WordList([("中国", 9)])
    tokenizer = Tokenizer(tokens, pre_tokenize=words)
    assert tokenizer.tokenize("中国 人")[1:-1] == ["中国", "人"]
    assert Tokenizer(tokens).tokenize("中国 人")[1:-1] == ["中", "国", "人"]

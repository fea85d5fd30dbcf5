"""Names in texts: against a search over all substrings, and borders of words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert4keras.tasks.linking import Mention
from bert4keras.tasks.linking.mentions import AliasTrie, name_boundary_flags
from bert4keras.tokenizers import Tokenizer

pytestmark = pytest.mark.spread


def found(names, text):
    """Return the names found, as spelled in the text."""
    return [text[m.start : m.end] for m in AliasTrie({"1": names}).find(text)]


def brute_force(names: dict[str, list[str]], text: str) -> list[tuple[int, int, tuple]]:
    """From left to right the longest substring that is a name and, in Latin letters, a word."""
    lowered = {name.lower(): ids for name, ids in names.items()}

    def fits(start, end):
        ends = [text[i] for i in (start - 1, start, end - 1, end) if 0 <= i < len(text)]
        before = start > 0 and ends[0] in "abAB" and text[start] in "abAB"
        behind = end < len(text) and text[end - 1] in "abAB" and text[end] in "abAB"
        return text[start:end].lower() in lowered and not before and not behind

    start, places = 0, []
    while start < len(text):
        ends = [end for end in range(start + 1, len(text) + 1) if fits(start, end)]
        if ends:
            places.append((start, ends[-1], tuple(lowered[text[start : ends[-1]].lower()])))
        start = ends[-1] if ends else start + 1
    return places


NAMES = st.text("ab 中国", min_size=1, max_size=4).filter(lambda name: name == name.strip())


@given(st.lists(NAMES, min_size=1, max_size=8), st.text("abAB 中国", max_size=20))
def test_against_all_substrings(names, text):
    aliases = {str(number): [name] for number, name in enumerate(names)}
    ids = {name: [k for k, (n,) in aliases.items() if n == name] for name in names}
    assert [m[:3] for m in AliasTrie(aliases).find(text)] == brute_force(ids, text)


def test_the_longest_name_wins_and_none_overlap():
    assert found(["New York", "New York City", "York City Hall"], "New York City Hall") == [
        "New York City"
    ]
    assert found(["北京", "北京大学", "大学生"], "北京大学生在北京") == ["北京大学", "北京"]
    assert found(["a b c d", "b"], "a b c") == ["b"]  # the longer one is only begun


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("Rome", "Romeo in Rome, Jerome's", ["Rome"]),
        ("rome", "(ROME)", ["ROME"]),
        ("R2", "R2D2 R2 2R2", ["R2"]),
        ("C++", "C++11 and C++.", ["C++", "C++"]),
        ("中国", "在中国人和中国", ["中国", "中国"]),
        ("QQ", "用QQ号", ["QQ"]),
        ("2008", "北京2008年12008", ["2008"]),
        ("Cafe", "Cafe\u0301 Cafe", ["Cafe"]),  # a combining accent
        ("Huế", "Huế Huếs", ["Huế"]),
        ("Москва", "в Москва москвашвея", ["Москва"]),
        ("서울", "서울은", ["서울"]),
        ("ไทย", "ประเทศไทยและ", ["ไทย"]),
        ("STRASSE", "strasse Straße", ["strasse"]),
        ("Große", "GROẞE", ["GROẞE"]),
    ],
)
def test_words(name, text, wanted):
    assert found([name], text) == wanted


@pytest.mark.parametrize("text", ["ＩＰＨＯＮＥ　４", "iPhone 4", "IPHONE 4"])
def test_case_and_width_and_places_in_the_original(text):
    trie = AliasTrie({"phone": [" iPhone 4 "]})
    padded = f"İß {text}, x"
    assert trie.find(padded) == [Mention(3, 11, ("phone",))]
    assert padded[3:11] == text
    assert text in trie
    assert trie.candidates(text) == ("phone",)


def test_candidates_keep_their_order_and_come_once():
    trie = AliasTrie({"z": ["Paris", "PARIS"], "a": ["paris"], "m": ["Lyon"]})
    assert trie.candidates("Paris") == ("z", "a")
    assert len(trie) == 2
    assert trie.candidates("Nice") == ()
    assert "Nice" not in trie
    assert trie.find("") == trie.find("nowhere") == []


def test_names_that_are_mostly_words_are_dropped():
    trie = AliasTrie({"1": ["Today", "Today Show"], "2": ["Rome"], "3": ["Nice"]})
    texts = ["Today in Rome", "today", "TODAY I saw the Today Show", "today nice", "nice", "rome"]
    spans = [[(9, 13)], [], [(16, 26)], [[6, 10]], [], []]
    # today: 4 wrong, 0 right, 5 / 1; nice: 1 and 1, 2 / 2; rome: 1 and 1; today show: right.
    assert trie.prune(texts, spans, ratio=5.1) == []
    assert trie.prune(texts, spans) == ["today"]
    assert [m[:2] for m in trie.find("Today the Today Show")] == [(10, 20)]
    assert "Today" not in trie
    assert len(trie) == 3
    assert trie.prune(texts, spans, ratio=1.0) == ["nice", "rome"]
    # A part of a dropped name, and a longer one, are still there.
    trie = AliasTrie({"1": ["a b", "a", "a b c"]})
    assert trie.prune(["a b"], [[]], ratio=2) == ["a b"]
    assert [m[:2] for m in trie.find("a b, a b c")] == [(0, 1), (5, 10)]


@pytest.mark.parametrize(
    ("aliases", "message"),
    [
        ({}, "no name to look for"),
        ({"1": []}, "no name to look for"),
        ({"1": ["a"], "2": ["b", " "]}, "Entity '2' has an empty name"),
        ({"1": "Rome"}, "names of '1' are a list of strings, not 'Rome'"),
    ],
)
def test_bad_names(aliases, message):
    with pytest.raises(ValueError, match=message):
        AliasTrie(aliases)


def test_pruning_needs_spans_for_each_text():
    with pytest.raises(ValueError, match="1 lists of spans for 2 texts"):
        AliasTrie({"1": ["a"]}).prune(["a", "b"], [[]])


def test_flags_of_tokens():
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghij"])
    text = "a bc d e f"
    offsets = tokenizer.offsets(text)
    assert text[slice(*offsets[2])] == "bc"
    flags = name_boundary_flags([(0, 4), (5, 6), (3, 8)], offsets)
    assert flags.dtype == np.int32
    #             [CLS]  a  bc  d  e  f [SEP]; (3, 8) begins inside "bc"
    assert flags[:, 0].tolist() == [0, 1, 1, 1, 0, 0, 0]
    assert flags[:, 1].tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert name_boundary_flags([(0, 4), (7, 8)], offsets[:3]).tolist() == [[0, 0], [1, 0], [0, 1]]
    assert name_boundary_flags([(0, 1)], []).shape == (0, 2)

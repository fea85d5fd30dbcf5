"""Units of text against a slow reading, one character at a time."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert4keras.text.units import BREAK, UnitVocabulary

pytestmark = pytest.mark.spread

TEXTS = st.text(st.sampled_from("ab1é'-’ \t\n　，。中國ゑกิＡｚ😀\u0301-"), max_size=30)


def names(text: str) -> list[str]:
    vocabulary = UnitVocabulary()
    return [vocabulary.names[code] for code in vocabulary.encode(text)]


def slowly(text: str) -> list[str]:
    """The units and breaks of a text; "" is a break."""
    single = [0x0E00 <= ord(c) <= 0x0EFF or 0x3021 <= ord(c) <= 0x9FFF for c in text]
    letter = [unicodedata.category(c)[0] in "LMN" for c in text]
    letter = [is_letter and not s for is_letter, s in zip(letter, single, strict=True)]
    inner = [
        c in "'’-" and 0 < i < len(text) - 1 and letter[i - 1] and letter[i + 1]
        for i, c in enumerate(text)
    ]
    found, i = [], 0
    while i < len(text):
        end = i + 1
        if letter[i]:
            while end < len(text) and (letter[end] or inner[end]):
                end += 1
            found.append(
                "".join(chr(ord(c) - 0xFEE0) if c in "Ａｚ" else c for c in text[i:end]).lower()
            )
        elif text[i] in " \t　":
            while end < len(text) and text[end] in " \t　":
                end += 1
            if not (i > 0 and end < len(text) and letter[i - 1] and letter[end]):
                found.append("")
        else:
            found.append(text[i] if single[i] else "")
        i = end
    return found


@given(TEXTS)
def test_units_are_those_of_a_slow_reading(text):
    assert names(text) == slowly(text)


@given(TEXTS)
def test_places_are_those_of_the_units(text):
    vocabulary = UnitVocabulary()
    codes, starts, ends = vocabulary.find(text)
    assert (starts[1:] >= ends[:-1]).all()
    for code, start, end in zip(codes, starts, ends, strict=False):
        if code != BREAK:
            assert names(text[start:end]) == [vocabulary.names[code]]
    assert list(vocabulary.encode(text)) == codes.tolist()  # same codes again


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我用iPhone。", ["我", "用", "iphone", ""]),
        ("New  York", ["new", "york"]),
        ("New York, don't", ["new", "york", "", "", "don't"]),
        ("new\nyork", ["new", "", "york"]),
        ("中 国 a", ["中", "", "国", "", "a"]),
        ("１９９８年", ["1998", "年"]),
        ("\ud800", [""]),
        ("", []),
    ],
)
def test_examples(text, expected):
    assert names(text) == expected


def test_new_units_are_breaks_where_the_list_may_not_grow():
    vocabulary = UnitVocabulary()
    known = vocabulary.encode("中 a")
    assert vocabulary.encode("国中 b a", grow=False).tolist() == [0, known[0], 0, 0, known[-1]]
    assert len(vocabulary.names) == 3


def test_units_are_joined():
    vocabulary = UnitVocabulary()
    assert vocabulary.join(vocabulary.encode("New York人b c").tolist()) == "new york人b c"

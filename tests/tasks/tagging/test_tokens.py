"""Tagged tokens of a text."""

from __future__ import annotations

import pytest

from bert4keras.tasks.tagging.tokens import separate, split_words

pytestmark = pytest.mark.spread


@pytest.mark.parametrize(
    ("text", "offsets", "wanted"),
    [
        # Of byte-level BPE: blanks before a word, and three tokens for one emoji.
        (
            "a \U0001f600b",
            [(0, 1), (1, 3), (2, 3), (2, 3), (3, 4)],
            [(0, (0, 1)), (1, (2, 3)), (4, (3, 4))],
        ),
        # A token that ends within a character which the next one goes on with.
        ("ab\U0001f600cd", [(0, 3), (2, 5)], [(0, (0, 3)), (1, (3, 5))]),
        # Of SentencePiece: a blank by itself, an empty token.
        ("a  b", [(0, 1), (1, 3), (1, 1), (3, 4)], [(0, (0, 1)), (3, (3, 4))]),
        ("", [], []),
    ],
)
def test_no_two_units_share_a_character(text, offsets, wanted):
    assert list(separate(text, offsets)) == wanted


def test_words_of_a_text():
    text = "Li's  (北京)\u3000C++, x"
    assert [text[a:b] for a, b in split_words(text)] == [
        *("Li", "'", "s", "(", "北", "京", ")", "C", "+", "+", ",", "x"),
    ]
    assert split_words(" \n") == split_words("") == []

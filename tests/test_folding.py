"""Folded texts, by the definitions of Unicode, character by character."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from bert4keras import _folding

pytestmark = pytest.mark.spread

EVERY = "".join(map(chr, range(sys.maxunicode + 1)))


def one(char, *forms):
    return next((form for form in forms if len(form) == 1), char)


def half(char):
    if char == "\u3000":
        return " "
    return chr(ord(char) - 0xFEE0) if "\uff01" <= char <= "\uff5e" else char


@pytest.mark.parametrize(
    ("fold", "expected"),
    [
        (_folding.half_width, half),
        (_folding.lower_by_character, lambda c: c.lower()[0]),
        (_folding.fold_by_character, lambda c: one(h := half(c), h.casefold(), h.lower())),
        (
            _folding.nfkc_by_character,
            lambda c: one(c, unicodedata.normalize("NFKC", c).lower()),
        ),
    ],
)
def test_every_character(fold, expected):
    assert fold(EVERY) == "".join(map(expected, EVERY))


def test_spelling():
    assert _folding.fold_spelling(" Straße 1") == _folding.fold_spelling("STRASSE1")

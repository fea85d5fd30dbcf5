"""Folding case and width: forms of a text in which spellings of the same thing are equal.

Functions named `..._by_character` return a text of the same length, so that character offsets
remain valid. `str.lower` and `str.casefold` do not: "İ".lower() has two characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

_HALF_WIDTH = {0x3000: 0x20} | {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


class _CharacterTable(dict[int, str]):
    """A table for `str.translate` that computes the entry of a character at its first use."""

    def __init__(self, fold: Callable[[str], str]):
        super().__init__()
        self._fold = fold

    def __missing__(self, code: int) -> str:
        self[code] = folded = self._fold(chr(code))
        return folded


def half_width(text: str) -> str:
    """Replace full-width ASCII (ＡＢＣ，) and the ideographic space by their usual forms (ABC,)."""
    return text.translate(_HALF_WIDTH)


def lower_by_character(text: str) -> str:
    """Lower-case each character; of one that becomes two, the first is kept."""
    return text.translate(_LOWER)


def fold_by_character(text: str) -> str:
    """Fold the case of each character and full-width ASCII.

    A character whose folded form is longer ("ß") is lower-cased, or else kept.
    """
    return half_width(text).translate(_CASE)


def nfkc_by_character(text: str) -> str:
    """Lower-case the NFKC form of each character, except where it is longer."""
    return text.translate(_NFKC)


def fold_spelling(name: str) -> str:
    """Return a name without case and blanks: two names with equal results are one, misspelt."""
    return "".join(name.casefold().split())


def _same_length(char: str, *forms: str) -> str:
    return next((form for form in forms if len(form) == 1), char)


_LOWER = _CharacterTable(lambda char: char.lower()[0])
_CASE = _CharacterTable(lambda char: _same_length(char, char.casefold(), char.lower()))
_NFKC = _CharacterTable(lambda c: _same_length(c, unicodedata.normalize("NFKC", c).lower()))

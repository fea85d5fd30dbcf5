"""Scripts of characters (Han, Latin, ...), and tokens that join what a task may have to part."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from .errors import TokenizerError

_COMMON = "Common"  # digits, punctuation, symbols: characters of no script in particular
ASCII = "ASCII"  # in a list of scripts: Latin letters without accents
SPLITS = ("none", "punctuation", "characters")
_WIDTH_WORDS = ("FULLWIDTH", "HALFWIDTH")
_HAN = ("Cjk", "Ideographic")  # first words of names: "CJK UNIFIED IDEOGRAPH-4E2D", "々", "〇"


def script_of(char: str) -> str:
    """Return the script of a character by its Unicode name, such as "Han", "Latin", "Cyrillic".

    Digits of ASCII, punctuation and symbols are "Common"; so are "①" and "Ⅱ".
    """
    if char.isascii():
        return "Latin" if char.isalpha() else _COMMON
    category = unicodedata.category(char)
    if category in ("Cc", "Co"):  # control characters, private use
        return "Unassigned"
    words = unicodedata.name(char, "").replace("-", " ").split()
    first = next((word for word in words if word not in _WIDTH_WORDS), "").title()
    if category in ("Lo", "Lm", "Nl") and first in _HAN:
        return "Han"
    return first if category[0] in "LM" or category == "Nd" else _COMMON


def is_written_in(text: str, scripts: Collection[str]) -> bool:
    """Return whether every character of a text is of one of the scripts, or common.

    Args:
        text: text of a token.
        scripts: names as `script_of` returns them; "ASCII" for Latin letters without accents.
    """
    return all(
        (ASCII in scripts and char.isascii()) or script_of(char) in (_COMMON, *scripts)
        for char in text
    )


def joins(text: str, split: str) -> bool:
    """Return whether a token must go, so that texts are cut where a task may need it.

    Args:
        text: text of the token, without blanks.
        split: "none": no token must go. "punctuation": a mark or symbol is a token by itself, or
            repeated ("……"). "characters": a Chinese character is, too.

    Raises:
        TokenizerError: another value of `split`.
    """
    if split not in SPLITS:
        raise TokenizerError(f"split={split!r} must be one of {', '.join(SPLITS)}.")
    if split == "none" or len(text) < 2:
        return False
    if split == "characters" and any(script_of(char) == "Han" for char in text):
        return True
    return len(set(text)) > 1 and not all(map(_is_word_character, text))


def _is_word_character(char: str) -> bool:
    """Return whether a character is a letter, an accent or a digit; U+FFFD is part of a letter."""
    return unicodedata.category(char)[0] in "LMN" or char == "\ufffd"

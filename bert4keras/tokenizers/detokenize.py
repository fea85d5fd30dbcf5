"""Tokens back to readable text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from .characters import is_cjk, is_punctuation

_CONTRACTIONS = {"s", "t", "m", "d", "re", "ve", "ll"}
_NO_SPACE_AFTER = set("([{<$#@/-_~^*+=\\“‘«")
_NO_SPACE_BEFORE = set(")]}>,.;:!?%/-_~^*+=\\”’»…")


def detokenize(tokens: Iterable[str]) -> str:
    """Join WordPiece tokens into text.

    A piece "##x" is joined to the word before it. There is no blank between Chinese characters,
    one between English words, and punctuation gets the usual blanks. The tokenizer does not keep
    blanks, so they cannot be restored exactly: "3.5" and "can't" are recognised, "a - b" becomes
    "a-b".

    Args:
        tokens: WordPiece tokens without special ones.
    """
    words: list[str] = []
    for token in tokens:
        if token.startswith("##") and len(token) > 2 and words:
            words[-1] += token[2:]
        elif token:
            words.append(token)
    text = ""
    quotes: dict[str, bool] = {}
    glue_next = True
    for i, word in enumerate(words):
        following = words[i + 1] if i + 1 < len(words) else ""
        glue_before, glue_after = _glue(word, following, text, quotes)
        text += word if glue_before or glue_next else f" {word}"
        glue_next = glue_after
    return text


def _glue(word: str, following: str, text: str, quotes: dict[str, bool]) -> tuple[bool, bool]:
    """Return whether this word is joined to the text before it, and to the next word."""
    if _is_wide(word[0]) or _is_wide(word[-1]):
        return True, True
    if word == "'" and following in _CONTRACTIONS and text[-1:].isalpha():
        return True, True
    if word in "\"'" and len(word) == 1:
        quotes[word] = not quotes.get(word, False)
        return not quotes[word], quotes[word]
    if word in ".,:" and text[-1:].isdigit() and following[:1].isdigit():
        return True, True
    return word in _NO_SPACE_BEFORE, word in _NO_SPACE_AFTER


def _is_wide(char: str) -> bool:
    """Return whether a character is Chinese, or a full-width punctuation mark."""
    return is_cjk(char) or (is_punctuation(char) and unicodedata.east_asian_width(char) in "WF")

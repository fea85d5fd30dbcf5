"""The tokens of a text that are tagged, and the windows in which the model reads them.

Legend: n tokens of the whole text without special tokens, U units. A unit is what gets a tag: a
token, or a word, which is tagged at its first token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from ...tokenizers.characters import is_cjk, is_punctuation
from ...tokenizers.spans import Span
from ..alignment import Alignment, align_entities, first_tokens
from ..windows import TextWindow

UNITS = ("token", "word")


@dataclasses.dataclass
class TextTokens:
    """A text as the model sees it.

    Attributes:
        text: the text.
        windows: (start, end) of each window in tokens of the text.
        begins: by window, position of its first such token, behind special tokens.
        sizes: by window, its positions, special tokens included.
        places: number of the token of each unit (U,).
        spans: (start, end) of each unit in characters (U,).
    """

    text: str
    windows: list[Span]
    begins: list[int]
    sizes: list[int]
    places: list[int]
    spans: list[Span]
    _aligned: tuple[Any, Alignment] | None = None

    def align(self, entities: Sequence[tuple[int, int, str]], nested: bool) -> Alignment:
        """Entities in units; remembered, as each window of a text asks for the same."""
        if self._aligned is None or self._aligned[0] is not entities:
            self._aligned = (entities, align_entities(entities, self.spans, overlap=nested))
        return self._aligned[1]

    def tokens_of(self, start: int, end: int) -> Span:
        """First and last token, both included, of the units [start, end)."""
        return self.places[start], self.places[end - 1]


def text_tokens(
    text: str, windows: Sequence[TextWindow], words: Sequence[Span] | None, unit: str
) -> TextTokens:
    """Collect what the windows of a text say about its tokens.

    Args:
        text: the text.
        windows: as of `text_windows`.
        words: (start, end) of the words, if they are given.
        unit: "token" or "word"; the latter finds words in the text where none are given.
    """
    offsets: list[Span] = []
    for window in windows:
        new = window.offsets[window.begin : window.end]
        offsets += new[len(offsets) - window.first :]
    if words is None and unit == "word":
        words = split_words(text)
    if words is None:
        pairs = list(separate(text, offsets))
    else:
        first = first_tokens(offsets, words)
        pairs = [(p, tuple(w)) for p, w in zip(first, words, strict=True) if p >= 0]
    return TextTokens(
        text,
        [(w.first, w.first + w.end - w.begin) for w in windows],
        [window.begin for window in windows],
        [len(window.token_ids) for window in windows],
        [place for place, _ in pairs],
        [span for _, span in pairs],
    )


def separate(text: str, offsets: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Yield number and characters of each token; no two tokens share a character.

    A token of bytes may hold the blank before a word, or a part of a character only: blanks are
    taken off, a character belongs to the first of its tokens, and a token without any is left out.
    """
    done = 0
    for place, (start, end) in enumerate(offsets):
        start = max(start, done)
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start < end:
            done = end
            yield place, (start, end)


def split_words(text: str) -> list[Span]:
    """The words of a text: runs between blanks; a CJK character or a mark is one by itself.

    >>> split_words("Li, 北京")
    [(0, 2), (2, 3), (4, 5), (5, 6)]
    """
    words, start = [], None
    for place, char in enumerate(f"{text} "):
        single = is_cjk(char) or is_punctuation(char)
        if (single or char.isspace()) and start is not None:
            words.append((start, place))
            start = None
        if single:
            words.append((place, place + 1))
        elif start is None and not char.isspace():
            start = place
    return words

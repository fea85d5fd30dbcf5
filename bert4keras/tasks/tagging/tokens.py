"""Tagged tokens of a text, and the windows in which the model reads the text.

A text has n tokens, without special tokens, and U tagging units. A unit is a token, or a word,
which is tagged at its first token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from ...tokenizers.characters import is_cjk, is_punctuation
from ...tokenizers.spans import Span
from ..alignment import Alignment, align_entities, first_tokens
from ..labelled_span import LabelledSpan
from ..windows import TextWindow

UNITS = ("token", "word")
ScoredEntity = tuple[LabelledSpan, float]  # an entity, in units, and its probability


@dataclasses.dataclass
class TextTokens:
    """Text as the model reads it.

    Attributes:
        text: the text.
        windows: (start, end) of each window, in tokens of the text.
        begins: for each window, position of the first of these tokens, after special tokens.
        sizes: for each window, its number of positions, including special tokens.
        places: index of the token of each unit (U,).
        spans: (start, end) of each unit in characters (U,).
    """

    text: str
    windows: list[Span]
    begins: list[int]
    sizes: list[int]
    places: list[int]
    spans: list[Span]
    _aligned: tuple[Sequence[tuple[int, int, str]], Alignment] | None = None

    def align(self, entities: Sequence[tuple[int, int, str]], nested: bool) -> Alignment:
        """Convert entities to units; cached, because every window of a text needs the same."""
        if self._aligned is None or self._aligned[0] is not entities:
            self._aligned = (entities, align_entities(entities, self.spans, overlap=nested))
        return self._aligned[1]

    def tokens_of(self, start: int, end: int) -> Span:
        """Return first and last token, both included, of the units [start, end)."""
        return self.places[start], self.places[end - 1]


def text_tokens(
    text: str, windows: Sequence[TextWindow], words: Sequence[Span] | None, unit: str
) -> TextTokens:
    """Combine the windows of a text into its `TextTokens`.

    Args:
        text: the text.
        windows: from `text_windows`.
        words: (start, end) of the words, if the corpus gives them.
        unit: "token" or "word"; "word" splits the text with `split_words` if `words` is None.
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
        pairs = [(p, (w[0], w[1])) for p, w in zip(first, words, strict=True) if p >= 0]
    return TextTokens(
        text,
        [(w.first, w.first + w.end - w.begin) for w in windows],
        [window.begin for window in windows],
        [len(window.token_ids) for window in windows],
        [place for place, _ in pairs],
        [span for _, span in pairs],
    )


def separate(text: str, offsets: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Yield index and (start, end) of each token, so that no two tokens share a character.

    A token of bytes may contain the blank before a word, or only a part of a character. Blanks are
    stripped, a character belongs to the first of its tokens, and a token without characters is
    skipped.
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
    """Split a text into words: runs between blanks; each CJK or punctuation character is a word.

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

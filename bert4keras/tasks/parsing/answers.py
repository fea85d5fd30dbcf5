"""Answers of the parser and gold trees to compare them with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...display.texts import escape_control_characters
from ...tokenizers.spans import Span
from .trees import bracketed, build_tree, drawn


@dataclasses.dataclass(frozen=True)
class Parse:
    """Binary tree of a sentence; `print` draws it.

    Attributes:
        text: the sentence.
        offsets: (start, end) of each token in characters of the text.
        distances: syntax distance of each token from the one before it; the first does not matter.
        spans: constituents (first token, end) of at least two tokens, from the whole sentence on.
    """

    text: str
    offsets: Sequence[Span]
    distances: Sequence[float]
    spans: Sequence[Span]

    @property
    def tokens(self) -> list[str]:
        """The tokens as they are written in the text."""
        return [self.text[start:end] for start, end in self.offsets]

    @property
    def brackets(self) -> str:
        """The tree with brackets: `((the cat) (sat down))`."""
        return bracketed([escape_control_characters(token) for token in self.tokens], self.spans)

    def __str__(self) -> str:
        return drawn([escape_control_characters(token) for token in self.tokens], self.spans)


@dataclasses.dataclass(frozen=True)
class Bracketing:
    """Gold constituents of a sentence.

    Attributes:
        words: (start, end) in characters of the text of the words that count, in their order. A
            parse is compared on these words only, so punctuation can be left out.
        spans: constituents (first word, end) of at least two words.
    """

    words: Sequence[Span]
    spans: Sequence[Span]


def tree_of_words(parse: Parse, words: Sequence[Span], right_biased: bool = False) -> list[Span]:
    """Build the tree of a parse anew over given words.

    A word's distance is the largest one of the tokens that start behind the word before it and not
    behind its own start: so of those of left-out punctuation, too.

    Args:
        parse: a parse, of tokens that may be smaller or larger than words.
        words: (start, end) in characters of the text, in their order.
        right_biased: of `build_tree`.

    Returns:
        Spans of words.
    """
    distances, place = [], 0
    for start, _ in words:
        largest = 0.0  # of a word that starts inside a token
        while place < len(parse.offsets) and parse.offsets[place][0] <= start:
            largest = max(largest, parse.distances[place])
            place += 1
        distances.append(largest)
    return build_tree(distances, right_biased)

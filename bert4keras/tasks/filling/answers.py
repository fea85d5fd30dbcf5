"""Answers of `FillMask`."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Filling:
    """A token in the place of a mask.

    Attributes:
        token: the token as text; a piece that continues a word is spelled as in the vocabulary.
        score: its probability.
        start, end: the mask's place, in characters of the given text.
        text: the given text with this mask filled.
        token_id: its id.
    """

    token: str
    score: float
    start: int
    end: int
    text: str = dataclasses.field(repr=False)
    token_id: int = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return f"{self.token} {self.score:.3f}"


@dataclasses.dataclass(frozen=True)
class FilledText:
    """A text whose masks, two or more, are filled together.

    Attributes:
        text: the given text with every mask filled.
        score: probability of the filling: the product of those of its tokens.
        fillings: the token chosen for each mask, in the order of the text. Its score is its
            probability at the moment when it was chosen.
        candidates: by mask, the most probable tokens while all other masks are unfilled.
    """

    text: str
    score: float
    fillings: tuple[Filling, ...]
    candidates: tuple[tuple[Filling, ...], ...] = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return f"{self.text} {self.score:.3f}"

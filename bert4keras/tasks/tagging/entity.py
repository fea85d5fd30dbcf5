"""Samples and answers of a `Tagger`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from ..labelled_span import LabelledSpan


@dataclasses.dataclass(frozen=True, repr=False)
class Entity:
    """Entity found in a text.

    Attributes:
        start, end: characters [start, end) of the text.
        label: its type; "" for a word of a segmenter without types.
        text: these characters.
        score: probability of the entity, between 0 and 1.
    """

    start: int
    end: int
    label: str
    text: str
    score: float

    @property
    def span(self) -> LabelledSpan:
        """(start, end, label), for `entity_scores` and `display.entities_to_ansi`."""
        return LabelledSpan(self.start, self.end, self.label)

    def __repr__(self) -> str:
        return (
            f"Entity(start={self.start}, end={self.end}, label={self.label!r}, "
            f"text={self.text!r}, score={self.score:.4f})"
        )

    def __str__(self) -> str:
        label = f" [{self.label}]" if self.label else ""
        return f"{self.text}{label} {self.score:.2f}"


class TaggedText(NamedTuple):
    """Text of a corpus with its entities.

    Attributes:
        text: the text.
        entities: (start, end, label) triples in characters.
        words: (start, end) of each word in characters, if the corpus gives words; the first token
            of each is tagged. None: see the option `units` of `Tagger`.
    """

    text: str
    entities: Sequence[tuple[int, int, str]] = ()
    words: Sequence[tuple[int, int]] | None = None

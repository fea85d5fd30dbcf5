"""Samples of entity linking: texts, their mentions, and the entities that these mean."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from .mentions import Mention


class Link(NamedTuple):
    """Characters `[start, end)` of a text and the id of their entity; None if it is unknown."""

    start: int
    end: int
    entity: str | None


@dataclasses.dataclass(frozen=True)
class Document:
    """Text with additional information.

    Attributes:
        text: the text.
        topic: its topic, such as its headline.
        mentions: its mentions; None: find them by the names of the knowledge base.
    """

    text: str
    topic: str = ""
    mentions: tuple[Mention, ...] | None = None


class LinkedText(NamedTuple):
    """Training sample: a text and its links."""

    document: str | Document
    links: tuple[Link, ...]

    @property
    def text(self) -> str:
        """The text as a string."""
        return self.document if isinstance(self.document, str) else self.document.text

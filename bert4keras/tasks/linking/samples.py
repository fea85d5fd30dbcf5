"""Samples of entity linking: texts, the mentions in them, and the entities meant."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from .mentions import Mention


class Link(NamedTuple):
    """Characters `[start, end)` of a text and the id of the entity meant; None: one not known."""

    start: int
    end: int
    entity: str | None


@dataclasses.dataclass(frozen=True)
class Document:
    """A text of which more is known.

    Attributes:
        text: the text.
        topic: what it is about, such as its headline.
        mentions: the mentions in it; None: the names that are found in it.
    """

    text: str
    topic: str = ""
    mentions: tuple[Mention, ...] | None = None


class LinkedText(NamedTuple):
    """A training sample: a text, and its links."""

    document: str | Document
    links: tuple[Link, ...]

    @property
    def text(self) -> str:
        """The text as a string."""
        return self.document if isinstance(self.document, str) else self.document.text

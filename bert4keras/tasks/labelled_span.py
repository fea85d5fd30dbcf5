"""A labelled stretch of a text."""

from __future__ import annotations

from typing import NamedTuple


class LabelledSpan(NamedTuple):
    """Items, or characters, from `start` up to and without `end`, and what they are."""

    start: int
    end: int
    label: str

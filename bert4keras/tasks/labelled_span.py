"""Labelled spans of a text."""

from __future__ import annotations

from typing import NamedTuple


class LabelledSpan(NamedTuple):
    """Span of items or characters [start, end) with a label."""

    start: int
    end: int
    label: str

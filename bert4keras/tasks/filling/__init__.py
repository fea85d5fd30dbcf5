"""Masked language modelling: masks of a text filled, one or several together."""

from __future__ import annotations

from .answers import FilledText, Filling
from .spans import most_probable_span
from .task import FillMask

__all__ = ["FillMask", "FilledText", "Filling", "most_probable_span"]

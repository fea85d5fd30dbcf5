"""The error of exports."""

from __future__ import annotations


class ExportError(ValueError):
    """A model that cannot be exported, or an export that cannot be run; it says what to do."""

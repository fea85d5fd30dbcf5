"""Names that were needed for Python 2."""

from __future__ import annotations

uniout = None  # on Python 2 a module that printed Chinese text in lists; imported for its effect

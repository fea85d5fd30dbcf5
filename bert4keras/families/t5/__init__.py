"""T5, T5.1.1 and mT5."""

from . import model  # noqa: F401

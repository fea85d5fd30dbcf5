"""Names that were needed for Python 2, or imported for the module itself."""

from __future__ import annotations

from collections import defaultdict

__all__ = ["basestring", "convert_to_str", "convert_to_unicode", "defaultdict", "is_py2", "uniout"]

is_py2 = False
basestring = str
uniout = None  # on Python 2 a module that printed Chinese text in lists; imported for its effect


def convert_to_unicode(text: str | bytes, encoding: str = "utf-8", errors: str = "ignore") -> str:
    """Return a text, decoded if it is bytes."""
    return text.decode(encoding, errors) if isinstance(text, bytes) else text


def convert_to_str(text: str | bytes, encoding: str = "utf-8", errors: str = "ignore") -> str:
    """Call `convert_to_unicode`: on Python 3 both are `str`."""
    return convert_to_unicode(text, encoding, errors)

"""Extension of griffe: examples of docstrings (`>>> ...`) become blocks of code."""

from __future__ import annotations

import re
import textwrap

import griffe

# A first line, then all lines up to an empty one.
EXAMPLE = re.compile(r"^( *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)


def fence(text: str) -> str:
    """Put a fence around each example of a docstring."""

    def replace(found: re.Match) -> str:
        block = textwrap.dedent(found[0])
        return textwrap.indent(f"```pycon\n{block}\n```", found[1])

    return EXAMPLE.sub(replace, text)


class Doctests(griffe.Extension):
    """Fence the examples of every docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Change the docstring of one object, as griffe calls this for each."""
        if obj.docstring and ">>> " in obj.docstring.value:
            obj.docstring.value = fence(obj.docstring.value)

"""Docstrings, comments and messages that break the rules of CONTRIBUTING.md."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterable, Iterator

from .source import FUNCTIONS, Place, Source

RELATIVE = "What Whether Where How Which Who Whose When Why That".split()
# Words that are no mistake in every sentence, but that were nearly always one here.
DIALECT = {
    "alone": r"\balone\b",
    "but for": r"\bbut for\b",
    "less": r"(?:, less\b(?! than)|\bless (?:a|an|the|its|their|what|those)\b)",
    "shall": r"\bshall\b",
    "of its own": r"\bof (?:its|their|his|her|one's|our|my) own\b(?! rank)",
    "lest": r"\blest\b",
    "cannot but": r"\bcannot but\b",
    "is said": r"\b(?:is|are|was|were) said\b",
    "what ... is": r"\bwhat (?:asks|is asked|is looked at|counts|has lost|is had)\b",
    "where ... stands": r"\b(?:stands|stood|standing) (?:in|at|on|there|before|after|elsewhere)\b",
    "of old": r"\bof old\b(?! (?:ids|blocks|scripts))",
    "nought": r"\bn[oa]ught\b",
    "there-, where-": r"\b(?:there|where)(?:of|in|to|upon|from|with)\b",
    "upon": r"\bupon\b",
    "none but": r"\b(?:none|nothing|nobody) but\b",
    "not ... any more": r"\bno more than that\b",
    "is to": r"\b(?:is|are) wont\b|\bwere it not\b|\bhad it not\b",
}
DIALECT_WORDS = re.compile("|".join(f"(?:{pattern})" for pattern in DIALECT.values()), re.I)


def prose(source: Source) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each line of docstrings, comments and messages of errors.

    The whole of a page that is not Python, without its code.
    """
    if not source.path.endswith(".py"):
        text = re.sub(
            r"```.*?```", lambda found: "\n" * found[0].count("\n"), source.text, flags=re.S
        )
        yield from enumerate(text.splitlines(), 1)
        return
    for _, node in source.docstrings:
        yield from enumerate(node.value.splitlines(), node.lineno)
    for token in source.tokens:
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Raise) and node.exc:
            for part in ast.walk(node.exc):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def dialect(sources: Iterable[Source]) -> list[Place]:
    """Return the words of `DIALECT` in docstrings, comments and messages."""
    return [
        Place("dialect", source.path, line, f"{found[0]!r}: {text.strip()}")
        for source in sources
        for line, text in prose(source)
        for found in DIALECT_WORDS.finditer(re.sub(r"`[^`]*`", "``", text))
    ]


def relative_clauses(sources: Iterable[Source]) -> list[Place]:
    """Return the docstrings that begin with a bare relative clause."""
    return [
        Place("relative-clause", source.path, node.lineno, first)
        for source in sources
        for _, node in source.docstrings
        if (first := node.value.strip().split("\n")[0]).split(" ")[0].strip(",:") in RELATIVE
    ]


def undocumented(sources: Iterable[Source]) -> list[Place]:
    """Return public modules, classes and functions at top level without a docstring.

    Methods may do without: most override one that has its contract in the base class.
    """
    found = []
    for source in sources:
        documented = {id(node) for node, _ in source.docstrings}
        if source.text.strip() and id(source.tree) not in documented:
            found.append(Place("undocumented", source.path, 1, "module"))
        for node in source.tree.body:
            public = isinstance(node, (ast.ClassDef, *FUNCTIONS)) and node.name[0] != "_"
            if public and any("overload" in ast.unparse(d) for d in node.decorator_list):
                continue
            if public and id(node) not in documented:
                found.append(Place("undocumented", source.path, node.lineno, node.name))
    return found

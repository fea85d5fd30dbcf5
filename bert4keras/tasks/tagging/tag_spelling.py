"""Conversion of tags as files spell them (BILOU, `B_PER`, `PER-B`, lower case) to "B-PER".

A file has one spelling. Tags that could be read in two ways are refused, and so are types that
differ only in case, which are probably typing errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..._folding import fold_spelling
from .schemes import OUTSIDE, SCHEMES

# Letters of other schemes for those of BIOES: Last, Unit (BILOU) and Whole (BMEWO).
_LETTERS = {letter: letter for letter in "BIMES"} | {"L": "E", "U": "S", "W": "S"}
_ROLES = ("IM", "EL", "SUW")  # a file uses at most one letter of each group
_SEPARATORS = "-_/:|"
FILE_SCHEMES = {
    **{scheme: frozenset(scheme) - {OUTSIDE} for scheme in SCHEMES if scheme != "IOB1"},
    "IOB1": frozenset("IB"),
    "BILOU": frozenset("BILU"),
    "BMEWO": frozenset("BMEW"),
}


class TagError(ValueError):
    """Error about a tag that cannot be read.

    Attributes:
        tag: the tag, as spelled in the file.
        ambiguous: True if it is a tag, but can be read in two ways.
    """

    def __init__(self, tag: str, message: str, ambiguous: bool = False):
        super().__init__(message)
        self.tag, self.ambiguous = tag, ambiguous


def standard_tags(tags: Iterable[str], scheme: str | None = None) -> dict[str, str]:
    """Map the tags of a file to the form "B-PER", with the prefixes of IOB1, BIO, BIOES or BMES.

    Type and letter may be in either order, with any of `- _ / : |` between them, and the letter may
    be lower case. L of BILOU becomes E; U of BILOU and W of BMEWO become S.

    Args:
        tags: all tags of the file; duplicates are ignored.
        scheme: one of `FILE_SCHEMES`, whose letters are then the only ones; None accepts all.

    Returns:
        For each tag its spelling in this package.

    Raises:
        TagError: a tag that cannot be read, or that could be read in two ways.
        ValueError: an unknown scheme.

    Example:
        >>> standard_tags(["PER_B", "PER_L", "o"])
        {'PER_B': 'B-PER', 'PER_L': 'E-PER', 'o': 'O'}
    """
    if scheme is not None and scheme not in FILE_SCHEMES:
        raise ValueError(f"There is no scheme {scheme!r}; there are {', '.join(FILE_SCHEMES)}.")
    letters = FILE_SCHEMES[scheme] if scheme else frozenset(_LETTERS)
    tags = list(dict.fromkeys(tags))
    ways = [[_split(tag, letters, first) for tag in tags] for first in (True, False)]
    failed = [sum(part is None for part in way) for way in ways]
    for number in (0, 1):  # a reading in which entities end but never begin is wrong
        if failed == [0, 0] and {part[0] for part in ways[number]} <= set("ELM" + OUTSIDE):
            failed[number] = len(tags)
    parts = ways[failed[1] < failed[0]]
    for tag, part in zip(tags, parts, strict=True):
        if part is None:
            raise TagError(tag, _no_tag(tag, letters, scheme))
    if failed == [0, 0]:
        for tag, one, other in zip(tags, *ways, strict=True):
            if one != other:
                reason = f"{one[0]} of {one[1]!r} or {other[0]} of {other[1]!r}"
                raise TagError(
                    tag, f"{tag!r} may be {reason}, like all tags of the file; rename them", True
                )
    _check_letters(tags, parts)
    _check_types(tags, parts)
    standard = (f"{_LETTERS.get(p, p)}-{t}" if t else _LETTERS.get(p, p) for p, t in parts)
    return dict(zip(tags, standard, strict=True))


def _split(tag: str, letters: Iterable[str], letter_first: bool) -> tuple[str, str] | None:
    """Return letter and type of a tag; None if it is none."""
    if len(tag) == 1:
        letter = tag.upper()
        return (letter, "") if letter in letters or letter == OUTSIDE else None
    letter, mark, label = (
        (tag[:1], tag[1:2], tag[2:]) if letter_first else (tag[-1:], tag[-2:-1], tag[:-2])
    )
    good = letter.upper() in letters and mark in _SEPARATORS and label.strip()
    return (letter.upper(), label.strip()) if good else None


def _no_tag(tag: str, letters: Iterable[str], scheme: str | None) -> str:
    names = ", ".join(sorted(letters))
    whose = f" of {scheme}" if scheme else ""
    return f"{tag!r} is not a tag{whose}: one of {names} and a type, as in B-PER, or O"


def _check_letters(tags: Sequence[str], parts: Sequence[tuple[str, str]]) -> None:
    for role in _ROLES:
        used = {p: tag for tag, (p, _) in zip(tags, parts, strict=True) if p in role}
        if len(used) > 1:
            first, *_, last = used.values()
            raise TagError(
                last, f"{first!r} and {last!r} belong to different schemes ({' or '.join(role)})"
            )


def _check_types(tags: Sequence[str], parts: Sequence[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for tag, (_, label) in zip(tags, parts, strict=True):
        known = seen.setdefault(fold_spelling(label), label)
        if known != label:
            raise TagError(tag, f"the type of {tag!r} is written {known!r} elsewhere; use one")

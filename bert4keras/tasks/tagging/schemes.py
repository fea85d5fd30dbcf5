"""Tagging schemes, conversion between entities and tags: IOB1, BIO, BIOES, BMES, and plain IO.

A tag is a prefix and a type, "B-PER", or only the prefix if there is one unnamed type ("B", "M",
"E", "S" of word segmentation). "O" is outside all entities.

Sources: Ramshaw and Marcus, 1995 (cmp-lg/9505040; IOB1); Tjong Kim Sang and Veenstra, 1999
(cs/9907006; BIO, called IOB2 there); Xue, 2003 (O03-4002; BMES for segmentation).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..labelled_span import LabelledSpan

OUTSIDE = "O"
# Prefixes of the first, the inner and the last item of an entity, and of an entity of one item.
_PREFIXES = {
    "IOB1": ("I", "I", "I", "I"),
    "BIO": ("B", "I", "I", "B"),
    "BIOES": ("B", "I", "E", "S"),
    "BMES": ("B", "M", "E", "S"),
}
SCHEMES = tuple(_PREFIXES)
"""Names of the tagging schemes."""
# Tags without a begin, like parts of speech: adjacent items of one type are one entity.
PLAIN = "IO"
_PREFIXES[PLAIN] = ("I", "I", "I", "I")


def tag_names(labels: Iterable[str], scheme: str = "BIO", outside: bool = True) -> list[str]:
    """Return all tags of some types of entities, in the order of their ids; "O" comes first.

    Args:
        labels: types; "" for an unnamed one.
        scheme: one of `SCHEMES`.
        outside: False omits "O", for segmentation, where every character is in a word.
    """
    prefixes = dict.fromkeys(_prefixes(scheme))
    if scheme == "IOB1":
        prefixes = {"B": None, **prefixes}
    return [OUTSIDE] * outside + [_tag(p, label) for label in labels for p in prefixes]


def encode_tags(
    entities: Iterable[tuple[int, int, str]], length: int, scheme: str = "BIO"
) -> list[str]:
    """Convert entities to one tag per item.

    Args:
        entities: (start, end, label) triples in items of the sequence, in any order.
        length: number of items of the sequence.
        scheme: one of `SCHEMES`.

    Raises:
        ValueError: an entity is empty, ends beyond the sequence or overlaps another.
    """
    first, inner, last, single = _prefixes(scheme)
    tags, previous = [OUTSIDE] * length, LabelledSpan(0, 0, "")
    for entity in sorted(LabelledSpan(*entity) for entity in entities):
        start, end, label = entity
        if not 0 <= start < end <= length:
            raise ValueError(f"{entity} is not within the {length} items of the sequence.")
        if start < previous.end:
            raise ValueError(f"{entity} overlaps {previous}: one tag per item cannot express both.")
        # IOB1 writes B only where it is needed: right after an entity of the same type.
        touches = scheme == "IOB1" and previous[1:] == (start, label)
        tags[start:end] = [_tag(inner, label)] * (end - start)
        tags[end - 1] = _tag(last, label)
        tags[start] = _tag("B" if touches else single if end - start == 1 else first, label)
        previous = entity
    return tags


def decode_tags(
    tags: Sequence[str], scheme: str | None = None, strict: bool = False
) -> list[LabelledSpan]:
    """Convert a sequence of tags to entities.

    Args:
        tags: one tag per item; the prefixes of all schemes are understood.
        scheme: required if `strict`.
        strict: drop every entity that the scheme would write with other tags. Otherwise tags are
            read like CoNLL's script does: an entity begins with B or S, or with any other tag that
            does not continue an entity of its type; it ends with E or S, or where it is not
            continued.

    Raises:
        ValueError: a tag with another prefix.

    Example:
        >>> decode_tags(["B-PER", "I-PER", "O", "I-LOC"])
        [LabelledSpan(start=0, end=2, label='PER'), LabelledSpan(start=3, end=4, label='LOC')]
    """
    found, start, current = [], None, None
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, label = split_tag(tag)
        if start is not None and (prefix in "OBS" or label != current):
            found.append(LabelledSpan(start, place, current))
            start = None
        if prefix != OUTSIDE and start is None:
            start, current = place, label
        if prefix in "ES":
            found.append(LabelledSpan(start, place + 1, label))
            start = None
    return [e for e in found if _well_formed(tags, e, scheme)] if strict else found


def allowed_transitions(
    tags: Sequence[str], scheme: str = "BIO"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which tags may begin a sequence, follow each other and end it.

    Args:
        tags: the C tags in the order of their ids, as from `tag_names`.
        scheme: one of `SCHEMES`.

    Returns:
        Boolean arrays `start` (C,), `transitions` (C, C), from the row's tag to the column's,
        and `end` (C,).

    Raises:
        ValueError: a tag that the scheme does not have.
    """
    known = {OUTSIDE, *_prefixes(scheme), *("B" if scheme == "IOB1" else "")}
    parts = [split_tag(tag) for tag in tags]
    for tag, (prefix, _) in zip(tags, parts, strict=True):
        if prefix not in known:
            raise ValueError(f"{tag!r} is not a tag of {scheme}, which has {sorted(known)}.")
    nothing = (OUTSIDE, "")
    start = [_allowed(nothing, part, scheme) for part in parts]
    transitions = [[_allowed(before, part, scheme) for part in parts] for before in parts]
    end = [_allowed(part, nothing, scheme) for part in parts]
    return np.array(start, bool), np.array(transitions, bool), np.array(end, bool)


def find_scheme(tags: Iterable[str]) -> str:
    """Find the scheme of tag sequences, from prefixes and their order.

    Args:
        tags: all tags of a file in order, with an "O" between sequences.

    Returns:
        "BMES" if there is M, "BIOES" if there is E or S, "IOB1" if an entity begins with I, else
        "BIO".
    """
    before, prefixes, begins = (OUTSIDE, ""), set(), False
    for tag in tags:
        part = split_tag(tag)
        prefixes.add(part[0])
        begins = begins or (part[0] == "I" and part[1] != before[1])
        before = part
    if "M" in prefixes or "E" in prefixes or "S" in prefixes:
        return "BIOES" if "I" in prefixes else "BMES"
    return "IOB1" if begins else "BIO"


def split_tag(tag: str) -> tuple[str, str]:
    """Split a tag into prefix and type: "B-PER" into ("B", "PER"), "B" into ("B", "")."""
    prefix, _, label = tag.partition("-")
    if prefix not in tuple("OBIMES") or (prefix == OUTSIDE and label):
        raise ValueError(f"{tag!r} is not a tag: use B, I, M, E or S followed by -TYPE, or O.")
    return prefix, label


def _prefixes(scheme: str) -> tuple[str, str, str, str]:
    if scheme not in _PREFIXES:
        raise ValueError(f"There is no scheme {scheme!r}; there are {', '.join(SCHEMES)}.")
    return _PREFIXES[scheme]


def _tag(prefix: str, label: str) -> str:
    return f"{prefix}-{label}" if label else prefix


def _allowed(before: tuple[str, str], after: tuple[str, str], scheme: str) -> bool:
    """Return whether a tag may follow another, each split; ("O", "") is the end of a sequence."""
    inside = before[0] != OUTSIDE and before[1] == after[1]
    if scheme == PLAIN:
        return True
    if scheme == "IOB1":
        return after[0] != "B" or inside
    if scheme == "BIO":
        return after[0] != "I" or inside
    if before[0] in "BIM":  # an entity has begun and has not ended
        return after[0] in "IME" and inside
    return after[0] in "OBS"


def _well_formed(tags: Sequence[str], entity: LabelledSpan, scheme: str | None) -> bool:
    if scheme is None:
        raise ValueError("strict=True needs the scheme.")
    start, end, _ = entity
    before = decode_tags(tags[:start])[-1:] if scheme == "IOB1" else []
    return list(tags[start:end]) == encode_tags([*before, entity], end, scheme)[start:]

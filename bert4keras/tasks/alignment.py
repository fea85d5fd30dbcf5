"""Entities in characters and in tokens, and texts longer than the model.

An entity is given and returned in characters [start, end) of the original text. A model sees
units: tokens, or the words of a corpus that is given as words, of each of which it sees the first
token. `Alignment` says which entities the units cannot tell, and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .finite import as_scores
from .labelled_span import LabelledSpan

Span = tuple[int, int]


class Lost(NamedTuple):
    """An entity that is not told as it is, and the reason: one of `REASONS`."""

    entity: LabelledSpan
    reason: str


REASONS = ("no token", "inside a token", "overlap", "truncated")


class Alignment(NamedTuple):
    """Entities in units, in order, and those that differ or are missing, in characters."""

    entities: list[LabelledSpan]
    lost: list[Lost]


def align(
    entities: Iterable[tuple[int, int, str]],
    units: Sequence[Span],
    overlap: bool = False,
    length: int | None = None,
) -> Alignment:
    """Entities in characters as entities in units.

    An entity whose border is inside a unit is widened to the whole unit, and noted as "inside a
    token". Of two that overlap the longer one is kept, the other noted. One that begins or ends in
    characters without a unit (blanks, control characters) comes back without these: noted as "no
    token", and left out if nothing else is in it.

    Args:
        entities: (start, end, label) in characters.
        units: (start, end) of each unit in characters, in order; empty ones are no units.
        overlap: keep those that overlap, for a model that can tell nested entities.
        length: characters that the units cover, if the text was cut there: what ends behind is
            left out, as "truncated".

    Returns:
        An `Alignment`; `locate_entities(alignment.entities, units)` gives the entities back, but
        for those in `lost`.

    Raises:
        ValueError: an empty entity.
    """
    places = [place for place, (start, end) in enumerate(units) if start < end]
    starts = np.array([units[place][0] for place in places], "int64")
    ends = np.array([units[place][1] for place in places], "int64")
    kept: list[LabelledSpan] = []
    lost = []
    taken = np.zeros(len(units), bool)
    # Longer ones first, so that of a nested pair the outer one stays.
    for entity in sorted((LabelledSpan(*e) for e in entities), key=lambda e: (e.start - e.end, e)):
        if not 0 <= entity.start < entity.end:
            raise ValueError(f"{entity} is empty.")
        first = int(np.searchsorted(ends, entity.start, "right"))
        behind = int(np.searchsorted(starts, entity.end, "left"))
        reason = _reason(entity, starts, ends, first, behind, length)
        if first < behind and reason != "truncated":
            found = LabelledSpan(places[first], places[behind - 1] + 1, entity.label)
            if overlap or not taken[found.start : found.end].any():
                taken[found.start : found.end] = True
                kept.append(found)
            else:
                reason = "overlap"
        if reason:
            lost.append(Lost(entity, reason))
    return Alignment(sorted(kept), sorted(lost))


def locate_entities(
    entities: Iterable[tuple[int, int, str]], units: Sequence[Span]
) -> list[LabelledSpan]:
    """Entities in units as entities in characters.

    Args:
        entities: (start, end, label) in units.
        units: (start, end) of each unit in characters; empty ones, such as those of special
            tokens, are left out at both ends of an entity, and with them an entity of nothing else.
    """
    found = []
    for start, end, label in entities:
        real = [units[place] for place in range(start, end) if units[place][0] < units[place][1]]
        if real:
            found.append(LabelledSpan(real[0][0], real[-1][1], label))
    return found


def first_tokens(offsets: Sequence[Span], words: Sequence[Span]) -> list[int]:
    """The place of the first token of each word; -1 for a word without a token of its own.

    Args:
        offsets: (start, end) of each token in characters; (0, 0) for special tokens.
        words: (start, end) of each word in characters, in order.
    """
    places, token = [], 0
    for start, end in words:
        while token < len(offsets) and (
            offsets[token][0] < start or offsets[token][0] == offsets[token][1]
        ):
            token += 1
        own = token < len(offsets) and offsets[token][0] < end
        places.append(token if own else -1)
        token += own
    return places


def merge_windows(scores: Sequence[np.ndarray], windows: Sequence[Span]) -> np.ndarray:
    """Scores of a whole sequence, each item's from the window where it has most context.

    Decoded as one sequence, they give the entities across the borders of windows too.

    Args:
        scores: an array (size, C) for each window; rows behind its items are padding.
        windows: their (start, end), as from `sliding_windows`.

    Returns:
        (length, C).
    """
    length = windows[-1][1]
    merged = np.empty((length, scores[0].shape[-1]), scores[0].dtype)
    most = np.full(length, -1.0)
    for number, (start, end) in enumerate(windows):
        own = scores[number][: end - start]
        as_scores(own, "scores", number)
        places = np.arange(start, end)
        # Of equal contexts the longer window counts, then the first.
        context = np.minimum(places - start, end - 1 - places) + 0.01 * (end - start)
        better = context > most[start:end]
        merged[start:end][better] = own[better]
        most[start:end][better] = context[better]
    return merged


def _reason(entity: LabelledSpan, starts, ends, first: int, behind: int, length: int | None) -> str:
    """Why `locate_entities` will not give an entity back; "" if it will."""
    if length is not None and entity.end > length:
        return "truncated"
    if first >= behind:
        return "no token"
    start, end = int(starts[first]), int(ends[behind - 1])
    if start < entity.start or end > entity.end:
        return "inside a token"
    return "no token" if (start, end) != entity[:2] else ""

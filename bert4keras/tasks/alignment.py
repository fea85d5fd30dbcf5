"""Entities in characters and in tokens, and scores merged over windows.

Entities are given and returned in characters [start, end) of the original text; a model labels
tokens. Where a corpus gives words, "tokens" below are these words, and the model labels the first
token of each. `Alignment` lists the entities that token labels cannot express, and the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..tokenizers.spans import Span
from .finite import as_scores
from .labelled_span import LabelledSpan


class DroppedEntity(NamedTuple):
    """Entity, in characters, that token labels do not express exactly.

    Attributes:
        entity: the entity.
        reason: "no token", "inside a token", "overlap" or "truncated".
    """

    entity: LabelledSpan
    reason: str


class Alignment(NamedTuple):
    """Result of `align_entities`: entities in tokens, and those changed or left out.

    Attributes:
        entities: in tokens, sorted.
        dropped: in characters, sorted.
    """

    entities: list[LabelledSpan]
    dropped: list[DroppedEntity]


def align_entities(
    entities: Iterable[tuple[int, int, str]],
    tokens: Sequence[Span],
    overlap: bool = False,
    length: int | None = None,
) -> Alignment:
    """Convert entities from characters to tokens.

    An entity with a border inside a token is widened to the whole token and also reported as
    "inside a token". Of two entities that overlap, the longer one is kept and the other reported.
    An entity that begins or ends with characters outside any token (blanks, control characters)
    is shortened and reported as "no token"; it is left out if nothing remains.

    Args:
        entities: (start, end, label) in characters.
        tokens: (start, end) of each token in characters, in order; empty ones are skipped.
        overlap: keep overlapping entities, for a model that labels nested entities.
        length: number of characters that the tokens cover, if the text was truncated; entities
            that end beyond are left out as "truncated".

    Returns:
        An `Alignment`. `locate_entities(alignment.entities, tokens)` returns the original entities,
        except those in `dropped`.

    Raises:
        ValueError: an empty entity.
    """
    places = [place for place, (start, end) in enumerate(tokens) if start < end]
    starts = np.array([tokens[place][0] for place in places], "int64")
    ends = np.array([tokens[place][1] for place in places], "int64")
    kept: list[LabelledSpan] = []
    dropped = []
    taken = np.zeros(len(tokens), bool)
    # Longest first, so that the outer one of a nested pair is kept.
    for entity in sorted((LabelledSpan(*e) for e in entities), key=lambda e: (e.start - e.end, e)):
        if not 0 <= entity.start < entity.end:
            raise ValueError(
                f"{entity} is empty. An entity must have 0 <= start < end, in characters."
            )
        first = int(np.searchsorted(ends, entity.start, "right"))
        behind = int(np.searchsorted(starts, entity.end, "left"))
        reason = _drop_reason(entity, starts, ends, first, behind, length)
        if first < behind and reason != "truncated":
            found = LabelledSpan(places[first], places[behind - 1] + 1, entity.label)
            if overlap or not taken[found.start : found.end].any():
                taken[found.start : found.end] = True
                kept.append(found)
            else:
                reason = "overlap"
        if reason:
            dropped.append(DroppedEntity(entity, reason))
    return Alignment(sorted(kept), sorted(dropped))


def locate_entities(
    entities: Iterable[tuple[int, int, str]], tokens: Sequence[Span]
) -> list[LabelledSpan]:
    """Convert entities from tokens to characters.

    Args:
        entities: (start, end, label) in tokens.
        tokens: (start, end) of each token in characters. Empty ones (special tokens) are stripped
            from both ends of an entity; an entity of empty tokens only is left out.
    """
    found = []
    for start, end, label in entities:
        real = [tokens[place] for place in range(start, end) if tokens[place][0] < tokens[place][1]]
        if real:
            found.append(LabelledSpan(real[0][0], real[-1][1], label))
    return found


def first_tokens(offsets: Sequence[Span], words: Sequence[Span]) -> list[int]:
    """Return the index of the first token of each word; -1 for a word without its own token.

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
    """Merge the scores of overlapping windows into one sequence.

    Each token takes its scores from the window in which it has most context. The merged sequence
    can be decoded at once, which also finds entities that cross the border of a window.

    Args:
        scores: for each window an array (size, C); rows beyond its tokens are padding.
        windows: (start, end) of each window in tokens, as from `sliding_windows`.

    Returns:
        (length, C), where `length` is the end of the last window.
    """
    length = windows[-1][1]
    merged = np.empty((length, scores[0].shape[-1]), scores[0].dtype)
    most = np.full(length, -1.0)
    for number, (start, end) in enumerate(windows):
        own = scores[number][: end - start]
        as_scores(own, "scores", number)
        places = np.arange(start, end)
        # Of equal contexts the longer window wins, then the first.
        context = np.minimum(places - start, end - 1 - places) + 0.01 * (end - start)
        better = context > most[start:end]
        merged[start:end][better] = own[better]
        most[start:end][better] = context[better]
    return merged


def _drop_reason(
    entity: LabelledSpan,
    starts: np.ndarray,
    ends: np.ndarray,
    first: int,
    behind: int,
    length: int | None,
) -> str:
    """Return why `locate_entities` would not return this entity; "" if it would."""
    if length is not None and entity.end > length:
        return "truncated"
    if first >= behind:
        return "no token"
    start, end = int(starts[first]), int(ends[behind - 1])
    if start < entity.start or end > entity.end:
        return "inside a token"
    return "no token" if (start, end) != entity[:2] else ""

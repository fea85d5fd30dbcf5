"""Positions of the masks of a text in its windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from ...tokenizers.spans import Span
from ..base import Encoded
from ..windows import TextWindow


@dataclasses.dataclass(frozen=True)
class Masks:
    """The masks of a text, numbered in its order.

    Attributes:
        spans: their places in characters of the text.
        places: by mask, (window, position) at which the window has the most text around it.
        numbers: by window, number of the mask by position.
    """

    spans: list[Span]
    places: list[tuple[int, int]]
    numbers: list[dict[int, int]]


def locate_masks(
    spans: list[Span], windows: Sequence[TextWindow], mask_id: int
) -> tuple[list[TextWindow], Masks]:
    """Choose a window for each mask of a text.

    Args:
        spans: places of the masks in the text.
        windows: all windows of the text.
        mask_id: id of the mask token.

    Returns:
        The windows that are chosen for a mask, and where the masks are in them. There are fewer
        places than spans if the tokenizer made no token of a mask.
    """
    known: dict[Span, int] = {}
    found = []  # (number of the mask, tokens around it, window, position)
    for w, window in enumerate(windows):
        for position in range(window.begin, window.end):
            if window.token_ids[position] == mask_id:
                number = known.setdefault(window.offsets[position], len(known))
                around = min(position - window.begin, window.end - 1 - position)
                found.append((number, around, w, position))
    # Of equally good windows the first: later entries replace earlier ones.
    ranked = sorted(found, key=lambda entry: (entry[1], -entry[2]))
    best = {number: (w, position) for number, _, w, position in ranked}
    chosen = {w: k for k, w in enumerate(sorted({w for w, _ in best.values()}))}
    numbers: list[dict[int, int]] = [{} for _ in chosen]
    for number, _, w, position in found:
        if w in chosen:
            numbers[chosen[w]][position] = number
    places = [(chosen[w], position) for _, (w, position) in sorted(best.items())]
    return [windows[w] for w in chosen], Masks(spans, places, numbers)


def write_tokens(encoded: Encoded, tokens: Mapping[int, int]) -> Encoded:
    """Write token ids, by the number of the mask, into the windows of a text."""
    rows = []
    for row, numbers in zip(encoded.rows, encoded.extra.numbers, strict=True):
        ids = list(row[0])
        for position, number in numbers.items():
            ids[position] = tokens.get(number, ids[position])
        rows.append((ids, *row[1:]))
    return dataclasses.replace(encoded, rows=rows)

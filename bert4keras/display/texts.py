"""Texts with coloured entities or weights, for a terminal and as HTML."""

from __future__ import annotations

import bisect
import heapq
import html
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np


class _Piece(NamedTuple):
    """Part of a text with its label or weight."""

    start: int
    end: int
    label: Any


# Background colours for black letters, as ANSI numbers and for HTML.
_COLOURS = (
    (153, "#afd7ff"),
    (157, "#afffaf"),
    (223, "#ffd7af"),
    (218, "#ffafd7"),
    (229, "#ffffaf"),
    (183, "#d7afff"),
    (123, "#87ffff"),
    (252, "#d0d0d0"),
)
# Backgrounds of positive (red) and negative (blue) weights, from weak to strong.
_FOR, _AGAINST = (224, 217, 210, 203, 196), (195, 153, 117, 81, 39)
_RED, BLUE = "214,39,40", "31,119,180"
_STYLE = (
    "body{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em;line-height:1.7}"
    "h2{font-size:1em}th{text-align:left;vertical-align:top;padding-right:1em;white-space:nowrap}"
    "td{white-space:pre-wrap;overflow-wrap:anywhere}"
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]"
)


def escape_control_characters(text: str) -> str:
    """Write out control characters, as in "\\x1b", to print untrusted text safely.

    Control characters (C0, C1) could control a terminal, and those of text direction (bidi) could
    change the order in which a text is shown. Line feeds and tabs stay.
    """
    return _CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text)


def entities_to_ansi(
    text: str, entities: Iterable[tuple[int, int, str]], labels: Sequence[str] | None = None
) -> str:
    """Format entities for a terminal: coloured background, the type behind each entity.

    Control characters of text and labels are written out, see `escape_control_characters`.

    Args:
        text: the text.
        entities: (start, end, label) in characters, in any order. Nested ones are drawn inside
            each other; of equal spans, the first is outside. If two cross, the second is drawn
            from the end of the first.
        labels: all types, so that each has the same colour in every text.

    Raises:
        ValueError: an entity is empty or not within the text.
    """
    found = _sorted_pieces(text, entities)
    colour = _colours(found, labels)
    ground = lambda label: f"\x1b[30;48;5;{colour[label][0]}m"  # noqa: E731

    def close(label: str, around: str | None) -> str:
        again = "" if around is None else ground(around)
        return f"\x1b[3m/{label_text(label)}\x1b[0m{again}"

    return _draw(text, found, lambda label, _: ground(label), close, escape_control_characters)


def entities_to_html(
    text: str, entities: Iterable[tuple[int, int, str]], labels: Sequence[str] | None = None
) -> str:
    """Format entities as HTML; text and labels are escaped. Arguments as in `entities_to_ansi`."""
    found = _sorted_pieces(text, entities)
    colour = _colours(found, labels)

    def begin(label: str, around: str | None) -> str:
        style = f"background:{colour[label][1]};color:#000;padding:0 .2em;border-radius:.2em"
        return f'<mark style="{style}">'

    def close(label: str, around: str | None) -> str:
        return f"<sub>{html.escape(label_text(label))}</sub></mark>"

    return f"<span>{_draw(text, found, begin, close, escape_html)}</span>"


def weights_to_ansi(text: str, weights: Iterable[tuple[int, int, float]]) -> str:
    """Format weights for a terminal: red background for positive, blue for negative ones.

    Control characters of the text are written out, see `escape_control_characters`.

    Args:
        text: the text.
        weights: (start, end, weight) in characters, such as tokens with their attributions. The
            largest absolute weight has the strongest colour; below a tenth of it there is none.

    Raises:
        ValueError: a span is empty or not within the text, or a weight is not finite.
    """
    pieces = _check_finite(_sorted_pieces(text, weights))
    limit = _largest_weight(weight for *_, weight in pieces)

    def ground(weight: float | None) -> str:
        if weight is None or abs(weight) < limit / 10:
            return ""
        level = min(4, int(abs(weight) / limit * 5))
        return f"\x1b[30;48;5;{(_FOR if weight > 0 else _AGAINST)[level]}m"

    def close(weight: float, around: float | None) -> str:
        return f"\x1b[0m{ground(around)}" if ground(weight) else ""

    return _draw(text, pieces, lambda weight, _: ground(weight), close, escape_control_characters)


def weights_to_html(text: str, weights: Iterable[tuple[int, int, float]]) -> str:
    """Format weights as HTML, coloured as by `weights_to_ansi`, with the weights as tooltips."""
    pieces = _check_finite(_sorted_pieces(text, weights))
    limit = _largest_weight(weight for *_, weight in pieces)

    def begin(weight: float, around: float | None) -> str:
        colour = f"rgba({_RED if weight > 0 else BLUE},{abs(weight) / limit:.2f})"
        return f'<span style="background:{colour}" title="{weight:+.4f}">'

    return f"<span>{_draw(text, pieces, begin, lambda *_: '</span>', escape_html)}</span>"


def page_to_html(title: str, blocks: Iterable[tuple[str, Iterable[tuple[str, str]]]]) -> str:
    """Format a page that needs no other file.

    Args:
        title: of the page; escaped.
        blocks: (heading, parts) each; a part is (name, HTML). Headings and names are escaped.
    """
    head = f'<!DOCTYPE html>\n<meta charset="utf-8"><title>{escape_html(title)}</title>'
    body = [f"{head}<style>{_STYLE}</style><h1>{escape_html(title)}</h1>"]
    for heading, parts in blocks:
        rows = [f"<tr><th>{escape_html(name)}</th><td>{part}</td></tr>" for name, part in parts]
        body.append(f"<h2>{escape_html(heading)}</h2><table>{''.join(rows)}</table>")
    return "\n".join(body) + "\n"


def _sorted_pieces(text: str, entities: Iterable[tuple[int, int, Any]]) -> list[_Piece]:
    """Check spans and sort them: by start, the longest of equal starts first."""
    found = [_Piece(*entity) for entity in entities]
    for entity in found:
        if not all(isinstance(place, (int, np.integer)) for place in entity[:2]):
            raise ValueError(f"Start and end of {entity} must be whole numbers.")
        if not 0 <= entity.start < entity.end <= len(text):
            kind = "empty" if entity.start == entity.end else "not"
            raise ValueError(
                f"{entity} is {kind} within the {len(text)} characters of the text. It must have "
                "0 <= start < end <= length."
            )
    return sorted(found, key=lambda entity: (entity.start, -entity.end))


def _check_finite(pieces: list[_Piece]) -> list[_Piece]:
    for start, end, weight in pieces:
        if not math.isfinite(weight):
            raise ValueError(f"The weight of characters {start} to {end} is {weight}, not finite.")
    return pieces


def _colours(entities: Iterable[_Piece], labels: Sequence[str] | None) -> dict[str, tuple]:
    names = dict.fromkeys([*(labels or ()), *sorted({entity.label for entity in entities})])
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}


def _largest_weight(weights: Iterable[float]) -> float:
    return max((abs(weight) for weight in weights), default=0.0) or 1.0


def label_text(label: str) -> str:
    """Return a label in one line, without control characters."""
    return escape_control_characters(str(label)).replace("\n", "\\n").replace("\t", "\\t")


def escape_html(text: str) -> str:
    """Return a text for HTML, without control characters."""
    return html.escape(escape_control_characters(text))


def _draw(text: str, pieces: list[_Piece], begin, close, escape) -> str:
    """Insert `begin(label, label around it)` and `close(...)` at the ends of the pieces.

    The text is read from left to right. Open pieces are on a stack, where the ends decrease from
    the bottom (outermost) to the top (innermost). A piece that ends behind some of them crosses
    these: its start is moved to the end of the outermost of them. This happens once per piece,
    because all pieces opened in the meantime end within that one. So n pieces take O(n log n).
    """
    parts, place = [], 0
    waiting = [(piece.start, -piece.end, n, piece.label) for n, piece in enumerate(pieces)]
    heapq.heapify(waiting)
    stack: list[tuple[int, Any]] = []  # (-end, label)

    def close_until(limit: int) -> None:
        nonlocal place
        while stack and -stack[-1][0] <= limit:
            end, label = -stack[-1][0], stack.pop()[1]
            around = stack[-1][1] if stack else None
            parts.extend((escape(text[place:end]), close(label, around)))
            place = end

    while waiting:
        start, end, number, label = heapq.heappop(waiting)
        close_until(start)
        crossed = bisect.bisect_right(stack, end, key=lambda item: item[0])
        if crossed < len(stack):
            heapq.heappush(waiting, (-stack[crossed][0], end, number, label))
            continue
        parts.append(escape(text[place:start]))
        parts.append(begin(label, stack[-1][1] if stack else None))
        stack.append((end, label))
        place = start
    close_until(len(text))
    return "".join([*parts, escape(text[place:])])

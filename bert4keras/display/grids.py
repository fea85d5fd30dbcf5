"""Grids: who sees whom, or who attends to whom, as text, HTML and PNG.

Legend: T rows (queries), S columns (keys).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal, overload

import numpy as np

from .plots import check_grid, picture, plot_grid
from .texts import BLUE, escape_html, label_text

_LINE_WIDTH = 100  # columns of a terminal, from which on tokens above the columns become numbers
# ASCII: other squares are one or two columns wide, as the terminal and its font like.
_VISIBLE, _UNSEEN, _NOTHING = "#", ".", ""
_TABLE = "border-collapse:collapse;font-size:.85em;line-height:1.2"
_CELL = "width:1.3em;min-width:1.3em;height:1.3em;padding:0;border:1px solid #ddd"
_ROW_NAME = "font-weight:normal;text-align:right;padding:.1em .4em;white-space:pre"
_COLUMN_NAME = "font-weight:normal;text-align:right;padding:.3em 0;writing-mode:vertical-rl"


@overload
def draw_grid(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str] | None = None,
    format: Literal["text", "html"] = "text",
) -> str: ...


@overload
def draw_grid(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str] | None = None,
    *,
    format: Literal["png"],
) -> bytes: ...


def draw_grid(values, rows, columns=None, format="text"):
    """Draw a cell for each pair of tokens: a mask, or the attention weights of a head.

    As text a visible pair is `#` and a hidden one `.`, and a weight is in percent. Wide characters
    count as two columns, so Chinese tokens align. If the line would be longer than 100 columns,
    numbers stand for the tokens above the columns. Control characters are written out.

    Args:
        values: (T, S), bool, or float from 0 on; masked cells (`numpy.ma`) stay empty.
        rows: T tokens, the queries.
        columns: S tokens, the keys; by default the rows.
        format: "text", "html", or "png" (which needs matplotlib).

    Returns:
        A str, or the bytes of a PNG.

    Raises:
        ValueError: another shape, a negative weight or one that is not finite, or another format.
        ImportError: a PNG without matplotlib.
    """
    if format not in ("text", "html", "png"):
        raise ValueError(f"format={format!r} must be text, html or png.")
    values, columns = np.ma.asarray(values), rows if columns is None else columns
    check_grid(values, rows, columns)
    seen = values.compressed()
    if not (np.isfinite(seen) & (seen >= 0)).all():
        raise ValueError("A grid has bool values, or finite weights from 0 on.")
    if format == "text":
        return _to_text(values, rows, columns)
    if format == "html":
        return _to_html(values, rows, columns)
    names = [[label_text(name) for name in side] for side in (rows, columns)]
    longest = [max(map(display_width, side), default=0) for side in names]
    size = 0.28 * len(columns) + 0.1 * longest[0] + 0.3, 0.28 * len(rows) + 0.1 * longest[1] + 0.3
    return picture(lambda axes: plot_grid(values, *names, axes=axes), size)


def display_width(text: str) -> int:
    """Return the columns that a text takes in a terminal: Chinese characters take two."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 1 + _takes_two(c) for c in text
    )


def _takes_two(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")


def _cell_text(value: np.ndarray) -> str:
    """Format a bool as visible or hidden, and a weight in percent."""
    if value is np.ma.masked:
        return _NOTHING
    if isinstance(value, (bool, np.bool_)):
        return _VISIBLE if value else _UNSEEN
    return f"{100 * value:.0f}" if value >= 0.005 else _UNSEEN


def _to_text(values: np.ma.MaskedArray, rows: Sequence[str], columns: Sequence[str]) -> str:
    cells = [[_cell_text(value) for value in row] for row in values]
    left, above = ([label_text(name) for name in side] for side in (rows, columns))
    legend = ""
    if (
        max(map(display_width, left), default=0) + sum(display_width(n) + 1 for n in above)
        > _LINE_WIDTH
    ):
        if above != left:
            legend = "\n" + "\n".join(f"{n} {name}" for n, name in enumerate(above)) + "\n"
        digits = len(str(len(left) - 1))
        left = [f"{n:>{digits}} {name}" for n, name in enumerate(left)]
        above = [str(n) for n in range(len(above))]
    widths = [max(map(display_width, column)) for column in zip(above, *cells, strict=True)]
    margin = max(map(display_width, left), default=0)
    lines = []
    for name, row in zip(["", *left], [above, *cells], strict=True):
        parts = [_padded(name, margin), *map(_padded, row, widths)]
        lines.append(" ".join(parts).rstrip())
    return "\n".join(lines) + "\n" + legend


def _padded(text: str, width: int) -> str:
    return text + " " * (width - display_width(text))


def _to_html(values: np.ma.MaskedArray, rows: Sequence[str], columns: Sequence[str]) -> str:
    largest = float(values.max() if values.count() else 0) or 1.0
    head = "".join(f'<th style="{_COLUMN_NAME}">{escape_html(name)}</th>' for name in columns)
    lines = [f'<table style="{_TABLE}"><tr><td></td>{head}</tr>']
    for row, name in zip(values, rows, strict=True):
        cells = []
        for value, column in zip(row, columns, strict=True):
            if value is np.ma.masked:
                cells.append(f'<td style="{_CELL}"></td>')
                continue
            weight = "" if isinstance(value, (bool, np.bool_)) else f": {value:.4f}"
            title = escape_html(f"{name} \u2192 {column}{weight}")
            colour = f"background:rgba({BLUE},{0.9 * float(value) / largest:.2f})"
            cells.append(f'<td style="{_CELL};{colour}" title="{title}"></td>')
        lines.append(f'<tr><th style="{_ROW_NAME}">{escape_html(name)}</th>{"".join(cells)}</tr>')
    return "".join([*lines, "</table>"])

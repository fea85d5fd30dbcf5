"""Looking at results: texts in colour, and transitions, attention and training as pictures.

The pictures need matplotlib: `pip install bert4keras[plot]`.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .tags import Entity

# Background colours, light enough for black letters, as ANSI numbers and for HTML.
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
# Grounds of what spoke for (reds) and against (blues), from weak to strong.
_FOR, _AGAINST = (224, 217, 210, 203, 196), (195, 153, 117, 81, 39)
_RED, _BLUE = "214,39,40", "31,119,180"
# Fonts with Chinese letters, of which matplotlib takes the first that is installed.
_FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "SimHei")


def entities_to_ansi(
    text: str, entities: Iterable[tuple[int, int, str]], labels: Sequence[str] | None = None
) -> str:
    """The text for a terminal, entities on a coloured ground with their type behind them.

    Args:
        text: the text.
        entities: (start, end, label) in characters; nested ones are drawn in each other, and of
            two that cross each other the second is drawn for what the first leaves.
        labels: all types, so that each has the same colour in every text.
    """
    colour = _colours(entities := _checked(text, entities), labels)

    def mark(inner: str, label: str, around: list[str]) -> str:
        again = f"\x1b[30;48;5;{colour[around[-1]][0]}m" if around else ""
        return f"\x1b[30;48;5;{colour[label][0]}m{inner}\x1b[3m/{label}\x1b[0m{again}"

    return _draw(text, 0, len(text), entities, mark, str, [])


def entities_to_html(
    text: str, entities: Iterable[tuple[int, int, str]], labels: Sequence[str] | None = None
) -> str:
    """The text as a piece of HTML; arguments as for `entities_to_ansi`."""
    colour = _colours(entities := _checked(text, entities), labels)

    def mark(inner: str, label: str, around: list[str]) -> str:
        style = f"background:{colour[label][1]};color:#000;padding:0 .2em;border-radius:.2em"
        return f'<mark style="{style}">{inner}<sub>{html.escape(label)}</sub></mark>'

    drawn = _draw(text, 0, len(text), entities, mark, html.escape, [])
    return f"<span>{drawn}</span>"


def weights_to_ansi(text: str, weights: Iterable[tuple[int, int, float]]) -> str:
    """The text for a terminal: on red ground what has a positive weight, on blue a negative one.

    Args:
        text: the text.
        weights: (start, end, weight) in characters, such as tokens with their attributions. The
            ground of the largest weight is the strongest; below a tenth of it there is none.

    Raises:
        ValueError: a piece beyond the text.
    """
    pieces = _checked(text, weights)
    limit = _largest(weight for *_, weight in pieces)

    def mark(inner: str, weight: float, around: list[str]) -> str:
        if abs(weight) < limit / 10:
            return inner
        level = min(4, int(abs(weight) / limit * 5))
        return f"\x1b[30;48;5;{(_FOR if weight > 0 else _AGAINST)[level]}m{inner}\x1b[0m"

    return _draw(text, 0, len(text), pieces, mark, str, [])


def weights_to_html(text: str, weights: Iterable[tuple[int, int, float]]) -> str:
    """The text as a piece of HTML, coloured as by `weights_to_ansi`; weights show as tooltips."""
    pieces = _checked(text, weights)
    limit = _largest(weight for *_, weight in pieces)

    def mark(inner: str, weight: float, around: list[str]) -> str:
        colour = f"rgba({_RED if weight > 0 else _BLUE},{abs(weight) / limit:.2f})"
        return f'<span style="background:{colour}" title="{weight:+.4f}">{inner}</span>'

    return f"<span>{_draw(text, 0, len(text), pieces, mark, html.escape, [])}</span>"


def plot_weights(tokens: Sequence[str], weights: np.ndarray, axes: Any = None) -> Any:
    """Bars of the weights of tokens, from the first at the top: red for positive, blue else.

    Args:
        tokens: T names.
        weights: (T,).
        axes: as in `plot_transitions`, as are what is returned and raised.
    """
    axes, places = _axes(axes), np.arange(len(tokens))
    axes.barh(places, weights, color=np.where(np.asarray(weights) > 0, "#d62728", "#1f77b4"))
    axes.set_yticks(places, tokens)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    return axes


def plot_transitions(transitions: np.ndarray, tags: Sequence[str], axes: Any = None) -> Any:
    """Heat map of a CRF's transitions, from the row's tag to the column's.

    Args:
        transitions: (C, C).
        tags: C names.
        axes: matplotlib axes to draw on; new ones by default.

    Returns:
        The axes; `axes.figure.savefig("transitions.png")` writes them.

    Raises:
        ImportError: matplotlib is not installed.
    """
    values = np.asarray(transitions)
    span = float(np.abs(values).max()) or 1.0
    axes = _heat_map(values, tags, tags, axes, cmap="RdBu_r", vmin=-span, vmax=span)
    axes.set(xlabel="to", ylabel="from")
    return axes


def plot_attention(
    weights: np.ndarray, tokens: Sequence[str], keys: Sequence[str] | None = None, axes: Any = None
) -> Any:
    """Heat map of the attention of one head: how much each token looks at each other.

    Args:
        weights: (T, S), rows add up to 1.
        tokens: T names.
        keys: S names, if they differ from the tokens.
        axes: as in `plot_transitions`, as are what is returned and raised.
    """
    keys = tokens if keys is None else keys
    return _heat_map(np.asarray(weights), tokens, keys, axes, cmap="viridis", vmin=0.0)


def plot_history(history: Mapping[str, Sequence[float]] | Any, axes: Any = None) -> Any:
    """Curves of what was measured in each epoch; a number of it and its `val_` share a colour.

    Args:
        history: what `model.fit` returned, or numbers by name.
        axes: as in `plot_transitions`, as are what is returned and raised.

    Raises:
        ValueError: nothing was measured.
    """
    values = getattr(history, "history", history)
    if not values:
        raise ValueError("There is nothing to draw: the history is empty.")
    axes = _axes(axes)
    names = dict.fromkeys(name.removeprefix("val_") for name in values)
    colours = {name: f"C{number % 10}" for number, name in enumerate(names)}
    for name, numbers in values.items():
        style = "--" if name.startswith("val_") else "-"
        colour = colours[name.removeprefix("val_")]
        axes.plot(range(1, len(numbers) + 1), numbers, style, color=colour, marker=".", label=name)
    axes.set(xlabel="epoch")
    axes.legend()
    return axes


def _checked(text: str, entities: Iterable[tuple[int, int, str]]) -> list[Entity]:
    """Entities from the outermost to the innermost, in reading order."""
    found = sorted((Entity(*entity) for entity in entities), key=lambda e: (e.start, -e.end))
    for entity in found:
        if not 0 <= entity.start < entity.end <= len(text):
            raise ValueError(f"{entity} is not within the {len(text)} characters of the text.")
    return found


def _colours(entities: Iterable[Entity], labels: Sequence[str] | None) -> dict[str, tuple]:
    names = dict.fromkeys([*(labels or ()), *sorted({entity.label for entity in entities})])
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}


def _largest(weights: Iterable[float]) -> float:
    return max((abs(weight) for weight in weights), default=0.0) or 1.0


def _draw(
    text: str, start: int, end: int, entities: list[Entity], mark, escape, around: list[str]
) -> str:
    """The text with `mark(inner text, label, labels around it)` in place of the entities."""
    parts, place, rest = [], start, list(entities)
    while rest:
        entity = rest.pop(0)
        first = max(entity.start, place)  # what a crossing one before it leaves
        if first >= entity.end:
            continue
        inside = [e for e in rest if e.end <= entity.end]
        rest = [e for e in rest if e.end > entity.end]
        labels = [*around, entity.label]
        inner = _draw(text, first, entity.end, inside, mark, escape, labels)
        parts += [escape(text[place:first]), mark(inner, entity.label, around)]
        place = entity.end
    return "".join([*parts, escape(text[place:end])])


def _axes(axes: Any) -> Any:
    try:
        import matplotlib
        from matplotlib import font_manager, pyplot
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib, which is not installed: pip install bert4keras[plot]"
        ) from error
    installed = {font.name for font in font_manager.fontManager.ttflist}
    chinese = [font for font in _FONTS if font in installed]
    family = matplotlib.rcParams["font.sans-serif"]
    matplotlib.rcParams["font.sans-serif"] = [*dict.fromkeys([*family[:1], *chinese, *family[1:]])]
    return pyplot.subplots(layout="constrained")[1] if axes is None else axes


def _heat_map(values: np.ndarray, rows, columns, axes: Any, **options) -> Any:
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"Values of shape {values.shape} for {len(rows)} rows and {len(columns)} columns."
        )
    axes = _axes(axes)
    image = axes.imshow(values, **options)
    axes.set_xticks(range(len(columns)), columns, rotation=90)
    axes.set_yticks(range(len(rows)), rows)
    axes.figure.colorbar(image, ax=axes)
    return axes

"""Plots of results, with matplotlib: `pip install bert4keras[plot]`."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Fonts with Chinese characters; matplotlib uses the first that is installed.
_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",  # as matplotlib before 3.11 calls the file that has both
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
)


def plot_weights(tokens: Sequence[str], weights: np.ndarray, axes: Axes | None = None) -> Any:
    """Plot a bar per token, the first at the top: red for positive weights, blue for others.

    Args:
        tokens: T names.
        weights: (T,).
        axes: see `plot_transitions`, also for the result and the errors.
    """
    axes, places = _axes(axes), np.arange(len(tokens))
    axes.barh(places, weights, color=np.where(np.asarray(weights) > 0, "#d62728", "#1f77b4"))
    axes.set_yticks(places, tokens, fontfamily=_fonts())
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    return axes


def plot_transitions(transitions: np.ndarray, tags: Sequence[str], axes: Axes | None = None) -> Any:
    """Plot a heat map of a CRF's transitions, from the row's tag to the column's.

    Args:
        transitions: (C, C).
        tags: C names.
        axes: matplotlib axes; by default new ones.

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
    weights: np.ndarray,
    tokens: Sequence[str],
    keys: Sequence[str] | None = None,
    axes: Axes | None = None,
) -> Any:
    """Plot a heat map of the attention weights of one head, from queries (rows) to keys.

    Args:
        weights: (T, S), rows add up to 1.
        tokens: T names of the queries.
        keys: S names of the keys; by default the tokens.
        axes: see `plot_transitions`, also for the result and the errors.
    """
    keys = tokens if keys is None else keys
    return _heat_map(np.asarray(weights), tokens, keys, axes, cmap="viridis", vmin=0.0)


def plot_grid(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str] | None = None,
    axes: Axes | None = None,
) -> Any:
    """Plot a square for each pair of a row and a column, the darker the larger its value.

    Args:
        values: (T, S), bool, or float from 0 on; masked cells (`numpy.ma`) stay empty.
        rows: T names.
        columns: S names; by default the rows.
        axes: see `plot_transitions`, also for the result and the errors.
    """
    columns, values = rows if columns is None else columns, np.ma.asarray(values)
    largest = 1.0 if values.dtype == bool else float(values.max()) or 1.0
    axes = _squares(
        values.astype(float), rows, columns, axes, cmap="Blues", vmin=0, vmax=1.4 * largest
    )
    for axis, count in ((axes.xaxis, len(columns)), (axes.yaxis, len(rows))):
        axis.set_ticks(np.arange(count + 1) - 0.5, minor=True)
        axis.set_tick_params(which="both", length=0)
    axes.grid(which="minor", color="0.85")
    axes.spines[:].set_visible(False)
    return axes


def plot_history(history: Mapping[str, Sequence[float]] | Any, axes: Axes | None = None) -> Any:
    """Plot losses and metrics over the epochs; a metric and its `val_` have the same colour.

    Args:
        history: result of `model.fit`, or a dict name -> values of the epochs.
        axes: see `plot_transitions`, also for the result and the errors.

    Raises:
        ValueError: the history is empty.
    """
    values = getattr(history, "history", history)
    if not values:
        raise ValueError("The history is empty: there is nothing to plot.")
    axes = _axes(axes)
    names = dict.fromkeys(name.removeprefix("val_") for name in values)
    colours = {name: f"C{number % 10}" for number, name in enumerate(names)}
    for name, numbers in values.items():
        style = "--" if name.startswith("val_") else "-"
        colour = colours[name.removeprefix("val_")]
        axes.plot(range(1, len(numbers) + 1), numbers, style, color=colour, marker=".", label=name)
    axes.set(xlabel="epoch")
    axes.legend(prop={"family": _fonts()})
    return axes


def plot_roc(false_alarms: np.ndarray, recalls: np.ndarray, axes: Axes | None = None) -> Any:
    """Plot a receiver operating characteristic beside that of chance, the diagonal.

    Args:
        false_alarms, recalls: rates at each threshold, (T,), as of `tasks.novelty.roc_curve`.
        axes: see `plot_transitions`, also for the result and the errors.
    """
    axes = _axes(axes)
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
    axes.plot(false_alarms, recalls)
    axes.set(xlabel="false alarms", ylabel="recall", aspect="equal")
    return axes


def plot_threshold(
    curve: Mapping[str, Sequence[float]], threshold: float, axes: Axes | None = None
) -> Any:
    """Plot values over the threshold, such as F1, and a line at the chosen one.

    Args:
        curve: "threshold", then the other values, by name.
        threshold, axes: the chosen one; see `plot_transitions`, also for the result and the errors.
    """
    axes = _axes(axes)
    for name in list(curve)[1:]:
        axes.plot(curve["threshold"], curve[name], label=name)
    axes.axvline(threshold, color="gray", linestyle=":")
    axes.set(xlabel="threshold")
    axes.legend()
    return axes


def plot_points(points: np.ndarray, names: Sequence[str] = (), axes: Axes | None = None) -> Any:
    """Plot points in a plane, such as latent vectors of texts, the first ones with names.

    Args:
        points: (N, 2).
        names: at most N names.
        axes: see `plot_transitions`, also for the result and the errors.
    """
    axes, points = _axes(axes), np.asarray(points)
    axes.scatter(points[:, 0], points[:, 1], s=9)
    for point, name in zip(points, names, strict=False):
        axes.annotate(name, point, fontsize=7, fontfamily=_fonts())
    return axes


def _fonts() -> list[str]:
    """Return matplotlib's font families, and the installed ones with Chinese characters.

    They are set for single texts, because matplotlib's settings apply to the whole process.
    """
    import matplotlib
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    chinese = [font for font in _FONTS if font in installed]
    return [*dict.fromkeys([*matplotlib.rcParams["font.family"], *chinese])]


def picture(plot: Callable[[Axes], object], size: tuple[float, float]) -> bytes:
    """Return a PNG of what `plot` draws on the axes it is given; `size` is in inches.

    It does without pyplot, whose figures stay in memory until they are closed.
    """
    _check_installed()
    from matplotlib.figure import Figure

    figure, found = Figure(figsize=size, layout="constrained"), io.BytesIO()
    plot(figure.subplots())
    figure.savefig(found, format="png", dpi=100)
    return found.getvalue()


def _check_installed() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Plots need matplotlib, which is not installed: pip install bert4keras[plot]"
        ) from error


def _axes(axes: Axes | None) -> Any:
    _check_installed()
    if axes is not None:
        return axes
    from matplotlib import pyplot

    axes = pyplot.subplots(layout="constrained")[1]
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_fontfamily(_fonts())
    return axes


def _heat_map(values: np.ndarray, rows, columns, axes: Axes | None, **options: Any) -> Any:
    axes = _squares(values, rows, columns, axes, **options)
    axes.figure.colorbar(axes.images[-1], ax=axes)
    return axes


def _squares(values: np.ndarray, rows, columns, axes: Axes | None, **options: Any) -> Any:
    check_grid(values, rows, columns)
    axes, fonts = _axes(axes), _fonts()
    axes.imshow(values, **options)
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontfamily=fonts)
    axes.set_yticks(range(len(rows)), rows, fontfamily=fonts)
    return axes


def check_grid(values: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Check that there is a value for each pair of a row and a column.

    Raises:
        ValueError: there is not.
    """
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"Values of shape {values.shape} for {len(rows)} rows and {len(columns)} columns."
        )

"""Display of results: coloured texts, plots, and grids of tokens.

`texts` has entities and weights in a text, `plots` pictures by matplotlib, `grids` masks and
attention weights.
"""

from .grids import draw_grid
from .plots import (
    plot_attention,
    plot_grid,
    plot_history,
    plot_points,
    plot_roc,
    plot_threshold,
    plot_transitions,
    plot_weights,
)
from .texts import entities_to_ansi, entities_to_html, weights_to_ansi, weights_to_html

__all__ = [
    "draw_grid",
    "entities_to_ansi",
    "entities_to_html",
    "plot_attention",
    "plot_grid",
    "plot_history",
    "plot_points",
    "plot_roc",
    "plot_threshold",
    "plot_transitions",
    "plot_weights",
    "weights_to_ansi",
    "weights_to_html",
]

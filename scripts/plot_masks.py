"""Draw the masks of docs/guides: masks.png, masks_zh.png (Chinese tokens) and sparse_attention.png.

    python scripts/plot_masks.py [folder]

Needs matplotlib (pip install bert4keras[plot]) and a font with Chinese characters.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bert4keras.display import plot_grid
from bert4keras.masks import LM, Atrous, Local, Mask, Packed, Sparse, Window, visible_keys

GUIDES = Path(__file__).resolve().parent.parent / "docs" / "guides"
SPARSE: dict[str, Mask] = {
    "Window(2)": Window(2),
    "Local(2, rate=3)": Local(2, 3),
    "Atrous(4)": Atrous(4),
    "Sparse(4)": Sparse(4),
    "Sparse(4) & LM()": Sparse(4) & LM(),
}
LENGTH = 17
TOKENS = {
    "masks.png": ["[CLS]", "it", "rains", "[SEP]", "stay", "here", "[SEP]"],
    "masks_zh.png": ["[CLS]", "下", "雨", "[SEP]", "别", "走", "[SEP]"],
}
TARGET, ORDER = [0, 0, 0, 0, 1, 1, 1], [0, 3, 6, 1, 5, 2, 4]
# Title -> mask, and what it reads.
MASKS: dict[str, tuple[Mask | str, Mapping[str, Any]]] = {
    "encoder": ("encoder", {}),
    "lm": ("lm", {}),
    "unilm": ("unilm", {"segment_ids": TARGET}),
    "prefix": ("prefix", {"prefix": [1, 1, 0, 0, 0, 0, 0]}),
    "permutation": ("permutation", {"rank": ORDER}),
    "TwoStream, queries": ("permutation", {"rank": ORDER, "query_stream": True}),
    "Window(1)": (Window(1), {}),
    "Local(1, rate=2)": (Local(1, 2), {}),
    "Atrous(3)": (Atrous(3), {}),
    "Sparse(2)": (Sparse(2), {}),
    "packed": ("packed", {"document_ids": [1, 1, 1, 1, 2, 2, 2]}),
    "shared_prefix": ("shared_prefix", {"candidate_ids": [0, 0, 0, 0, 1, 2, 3]}),
    "Packed() & LM()": (Packed() & LM(), {"document_ids": [1, 1, 1, 1, 2, 2, 2]}),
    "Sparse(2) & LM()": (Sparse(2) & LM(), {}),
}


def draw_all(path: Path, tokens: Sequence[str]) -> None:
    """Write a picture of all masks on one text."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.6), layout="constrained")
    for axes, (name, (mask, options)) in zip(
        figure.subplots(2, len(MASKS) // 2).flat, MASKS.items(), strict=True
    ):
        plot_grid(visible_keys(mask, tokens, **options), tokens, axes=axes)
        axes.set_title(name, fontsize=10)
        axes.tick_params(labelsize=8)
    figure.savefig(path, dpi=80)


def draw_sparse(path: Path) -> None:
    """Write a picture of the sparse masks, a square of queries (rows) and keys (columns) each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.2 * len(SPARSE), 2.8), layout="constrained")
    panels = figure.subplots(1, len(SPARSE))
    for (name, mask), axes in zip(SPARSE.items(), panels, strict=True):
        plot_grid(visible_keys(mask, ["token"] * LENGTH), [""] * LENGTH, axes=axes)
        axes.set_title(name, fontsize=9)
    panels[0].set_ylabel("query")
    figure.supxlabel("key", fontsize=9)
    figure.savefig(path, dpi=80)


def draw(folder: Path = GUIDES) -> list[Path]:
    """Write the pictures; return their paths."""
    for name, tokens in TOKENS.items():
        draw_all(folder / name, tokens)
    draw_sparse(folder / "sparse_attention.png")
    return [folder / name for name in (*TOKENS, "sparse_attention.png")]


if __name__ == "__main__":
    for path in draw(*map(Path, sys.argv[1:])):
        print(f"{path}: {path.stat().st_size} bytes")

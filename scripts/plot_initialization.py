"""Draw the picture of docs/guides/initialization.md from the numbers that its own code computes.

    python scripts/plot_initialization.py        writes docs/guides/initialization.png

Needs matplotlib: pip install bert4keras[plot]
"""

from __future__ import annotations

import re
from pathlib import Path

GUIDES = Path(__file__).resolve().parent.parent / "docs" / "guides"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(path: Path) -> dict:
    """Run the Python blocks of a page in order; return the names they define."""
    names: dict = {}
    for number, source in enumerate(BLOCK.findall(path.read_text(encoding="utf-8")), 1):
        exec(compile(source, f"{path.name}, block {number}", "exec"), names)
    return names


def draw(curves: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Draw a panel for each kind of layers, with a curve for each initializer."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(curves), figsize=(13, 4.2), layout="constrained")
    for panel, (title, group) in zip(panels, curves.items(), strict=True):
        for label, values in group.items():
            panel.plot(values, label=label)
        if max(map(max, group.values())) > 100 * min(map(min, group.values())):
            panel.set_yscale("log")
        panel.set(title=title, xlabel="layer")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    panels[0].set_ylabel("root mean square of the activations")
    figure.savefig(path, dpi=90)


def main() -> None:
    path = GUIDES / "initialization.png"
    draw(run(GUIDES / "initialization.md")["curves"], path)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

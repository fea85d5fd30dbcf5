#!/usr/bin/env python
"""Draw docs/architecture.svg: the parts of the package and which imports which.

    python scripts/draw_architecture.py [--check]

The edges are read off the import statements of the code; an edge that follows from others is not
drawn. --check writes nothing, and fails if the picture is not current.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parent))

from figures.imports import graph, levels, reduced
from figures.source import ROOT, package

PICTURE = ROOT / "docs" / "architecture.svg"
# From left to right in each row, so that few edges cross.
CAPTIONS = {
    "families": "BERT, T5, ...: one module each",
    "training": "regularized training, evaluation",
    "latent": "densities, codes, adversaries",
    "tasks": "text to answer, one folder each",
    "models": "Transformer, Backbone, build",
    "tokenizers": "text to ids and back",
    "generation": "beams, sampling, caches",
    "losses": "losses Keras lacks",
    "layers": "attention, feed-forward, norms",
    "config": "sizes and options",
    "checkpoints": "tables, readers, writers",
    "saving": ".keras and weight files",
    "data": "batches, padding, packing",
    "text": "new words, terms of a domain",
    "positions": "where a token is",
    "masks": "who attends to whom",
    "registry": "families by name",
    "optimizers": "extensions of optimizers",
    "distribution": "many devices and hosts",
    "display": "answers in a terminal",
    "cli": "the command bert4keras",
    "serving": "answers over HTTP",
    "export": "graphs without Keras",
    "batch_inference": "actors of Ray, Spark",
    "pretraining": "objectives, corpus, loop",
    "legacy": "names of bert4keras 0.11",
}
WIDTH, HEIGHT, GAP, ROW = 196, 46, 16, 120
FONT = 'font-family="Helvetica, Arial, sans-serif"'


def draw() -> str:
    """Return the picture as SVG: what a part imports is below it."""
    edges = graph(package())
    level = levels(edges)
    edges = reduced(edges)
    rows: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
    for part in sorted(edges, key=list(CAPTIONS).index):
        rows[level[part]].append(part)
    width = max(map(len, rows)) * (WIDTH + GAP) + GAP
    places = {}
    for number, row in enumerate(reversed(rows)):
        left = (width - len(row) * (WIDTH + GAP) + GAP) / 2
        for place, part in enumerate(row):
            places[part] = left + place * (WIDTH + GAP), GAP + number * ROW
    height = 2 * GAP + (len(rows) - 1) * ROW + HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" {FONT}>',
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
    ]
    for part, lows in edges.items():
        x, y = places[part]
        for low in sorted(lows):
            x2, y2 = places[low]
            ends = f'x1="{x + WIDTH / 2:g}" y1="{y + HEIGHT:g}" x2="{x2 + WIDTH / 2:g}" y2="{y2:g}"'
            lines.append(f'<line {ends} stroke="#7a8794" stroke-width="1.4"/>')
    for part, (x, y) in sorted(places.items()):
        box = f'x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="5"'
        middle = f'x="{x + WIDTH / 2:g}" text-anchor="middle"'
        lines += [
            f'<rect {box} fill="#eef3f8" stroke="#34495e"/>',
            f'<text {middle} y="{y + 19:g}" font-size="14" font-weight="bold">{part}</text>',
            f'<text {middle} y="{y + 36:g}" font-size="11">{escape(CAPTIONS[part])}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if the picture is not current")
    picture = draw()
    if not parser.parse_args().check:
        PICTURE.write_text(picture, encoding="utf-8")
        print(f"{PICTURE}: {len(picture)} characters")
    elif not PICTURE.is_file() or PICTURE.read_text(encoding="utf-8") != picture:
        raise SystemExit("docs/architecture.svg is not current: run scripts/draw_architecture.py")


if __name__ == "__main__":
    main()

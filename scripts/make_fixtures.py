#!/usr/bin/env python
"""Make the files under tests/fixtures; deterministic, and independent of bert4keras.

    python scripts/make_fixtures.py [--only bert google ...] [--minilm DIR]

Each section (a module of scripts/fixtures) names the packages it needs; a section whose
packages are absent is skipped with a line that says so, or refused when asked for by --only.
The references come from transformers and TensorFlow, which need not share an environment:
run the script once in each.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# In this order: google is made from what bert wrote.
SECTIONS = (
    "ancestor",
    "bert",
    "entity_metrics",
    "families",
    "google",
    "masked_lm",
    "minilm",
    "sentence_vectors",
    "task_heads",
    "text_metrics",
    "tokenizers",
    "wordpiece",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="sections to make")
    parser.add_argument("--minilm", type=Path, help="directory of MiniLM-L6 (else it is fetched)")
    parser.add_argument("--out", type=Path, default=HERE.parent / "tests" / "fixtures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or SECTIONS:
        if not (HERE / "fixtures" / f"{name}.py").exists():
            continue
        module = importlib.import_module(f"fixtures.{name}")
        absent = [p for p in getattr(module, "PACKAGES", ()) if not importlib.util.find_spec(p)]
        if absent and arguments.only:
            sys.exit(f"{name}: please install {', '.join(absent)} into this environment first.")
        if absent:
            print(f"{name}: skipped, this environment lacks {', '.join(absent)}")
            continue
        print(f"{name}:")
        module.make(arguments.out, minilm=arguments.minilm)


if __name__ == "__main__":
    main()

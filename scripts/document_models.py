#!/usr/bin/env python
"""Write docs/models.md: what every family loads and saves, and how near its numbers are.

    python scripts/document_models.py [--backends tensorflow jax torch] [--output FILE]

Names and formats come from the registry. Figures are measured each time, every backend in its own
process, by the functions of the tests: the largest difference from the reference over all hidden
states and heads, relative to the largest number there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("tensorflow", "jax", "torch")
INTRODUCTION = """# Model families

Written by `scripts/document_models.py`; do not edit. **Load and save** are the formats of
checkpoints that go both ways: *huggingface* is safetensors under the names of transformers,
*google* a TensorFlow checkpoint under the names of the family's own release. **Compared with**
says whose numbers ours were held against, and the last columns give the largest difference over
all hidden states and heads, relative to the largest number among them. The models are tiny, with
weights of standard deviation 0.4, so that mistakes show; the tests fail above the bound, and
contain negative controls (another activation, ignored padding, a position off by one).

`build_transformer_model(directory)` takes the family from `model_type` in the config; where the
config has none (TensorFlow releases), pass `model="..."`.
"""


def measure() -> dict[str, dict[str, float]]:
    """Return the largest relative difference of every case, on the backend of this process."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "models")]
    import numpy as np
    import test_families as recorded
    import test_tensorflow_names as computed

    from helpers import families

    found: dict[str, dict[str, float]] = {"transformers": {}, "numpy": {}}
    for name in families.NAMES:
        arrays = families.reference(name)
        real = arrays["attention_mask"].astype(bool)
        states, heads = families.run(families.build(name), arrays)
        pairs = [*zip(states, arrays["hidden_states"], strict=True)]
        outputs = recorded.head_values(arrays) or [arrays["hidden_states"][-1]]
        pairs += zip(heads, outputs, strict=True)
        found["transformers"][name] = max(families.gap(*pair, real) for pair in pairs)
    with np.load(ROOT / "tests/fixtures/bert_gelu/reference.npz") as arrays:
        real = arrays["attention_mask"].astype(bool)
        bert = families.build_transformer_model(ROOT / "tests/fixtures/bert_gelu")
        states, _ = families.run(bert, dict(arrays))
        pairs = zip(states, arrays["hidden_states"], strict=True)
        found["transformers"]["bert"] = max(families.gap(*pair, real) for pair in pairs)
    for name in computed.CASES:
        tensors, values = computed.expected(name)
        gap = computed.gap(computed.build(name, dict(tensors)), np.asarray(values))
        found["numpy"][name] = gap
    return found


def measure_on(backend: str) -> dict[str, dict[str, float]]:
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--measure"]
    output = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return json.loads(output.splitlines()[-1])


def families() -> dict[str, dict]:
    """Return a row by registered name; names with the same class and tables share a row."""
    sys.path.insert(0, str(ROOT))
    from bert4keras.models import FAMILIES

    rows: dict[tuple, dict] = {}
    for name, family in FAMILIES.items():
        formats = sorted({table.format for table in family.tables}, reverse=True)
        key = (family.transformer, family.tables)
        row = rows.setdefault(key, {"names": [], "formats": formats, "class": family.transformer})
        row["names"].append(name)
    return {row["names"][0]: row for row in rows.values()}


def model_type_of(case: str) -> str:
    """Return the family that a recorded checkpoint says it is."""
    config = ROOT / "tests" / "fixtures" / "families" / case / "config.json"
    return json.loads(config.read_text(encoding="utf-8"))["model_type"]


def references(names: list[str], measured: dict[str, dict]) -> list[tuple[str, str, list[str]]]:
    """Return (reference, case, figure on each backend) of the cases that belong to a row."""
    known = {name for row in families().values() for name in row["names"]}
    found = []
    for kind in ("transformers", "numpy"):
        cases = next(iter(measured.values()))[kind]
        for case in cases:
            if (case if case in known else model_type_of(case)) in names:
                found.append((kind, case, [f"{m[kind][case]:.0e}" for m in measured.values()]))
    return found


def page(measured: dict[str, dict]) -> str:
    columns = ["family", "`model=`", "load and save", "compared with", *measured]
    lines = [INTRODUCTION, f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    for row in families().values():
        cells = [row["class"].__name__, ", ".join(f"`{name}`" for name in row["names"])]
        cells.append(", ".join(row["formats"]) or "-")
        cases = references(row["names"], measured)
        if not cases:
            lines.append(f"| {' | '.join([*cells, 'see below', *['-'] * len(measured)])} |")
        for kind, case, figures in cases:
            other = "" if case == row["names"][0] else f" ({case})"
            lines.append(f"| {' | '.join([*cells, kind + other, *figures])} |")
    return "\n".join([*lines, "", NOTES])


NOTES = """*transformers*: files that it saved and numbers that it computed
(`scripts/make_fixtures.py --only families`); what we save has the same names and bytes.
*numpy*: an independent forward pass over the tensors of the TensorFlow release
(`tests/helpers/numpy_families.py`); every tensor fills exactly one weight and is written back.
Families without figures share the code of another row, or have separate tests in
`tests/models` (GAU-alpha, the parts of T5, unshared ALBERT).
`tests/checkpoints/test_family_tables.py` holds every table of every family to
`load(save(x)) == x`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "models.md")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure()))
        return
    text = page({backend: measure_on(backend) for backend in arguments.backends})
    temporary = arguments.output.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, arguments.output)
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()

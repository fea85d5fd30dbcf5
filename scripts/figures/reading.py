"""Functions that run on the way of a text, and the modules that hold them: what one must read.

A path is run on tiny checkpoints of tests/fixtures, and the functions that are called are
recorded. What runs on import (definitions, tables of constants) counts only with whole modules.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from types import FrameType

from .source import FUNCTIONS, ROOT, Source, package

FIXTURES = ROOT / "tests" / "fixtures"
LABELS = ["negative", "positive"]
# Without layers and models, which follow below: a family is one file or one folder.
CORE = ["config", "masks/base", "masks/strategies", "masks/layer", "positions"]
CORE += ["layers/attention", "layers/feed_forward"]
CORE += ["models/context", "models/block", "models/transformer", "models/backbone", "families/bert"]

Called = set[tuple[str, int]]  # (file, first line) of functions


def record(run: Callable[[], object]) -> Called:
    """Run `run` and return the functions of the package that it called, but not on import."""
    called: Called = set()
    package_folder = str(ROOT / "bert4keras")
    importing = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal importing
        code = frame.f_code
        if event not in ("call", "return"):
            return
        if code.co_name == "<module>":
            importing += 1 if event == "call" else -1
        elif not importing and code.co_filename.startswith(package_folder):
            called.add((code.co_filename, code.co_firstlineno))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    return called


def read_lines(called: Called) -> dict[str, tuple[int, int]]:
    """Return (lines of the functions called, lines of the module) by file: lines of code."""
    found = {}
    for source in package():
        path = str(ROOT / source.path)
        firsts = {line for file, line in called if file == path}
        lines: set[int] = set()
        for node in ast.walk(source.tree):
            if isinstance(node, FUNCTIONS):
                first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
                if first in firsts:
                    lines.update(range(first, node.end_lineno + 1))
        if lines:
            found[source.path] = len(lines & source.code_lines), len(source.code_lines)
    return found


def names_of(called: Called) -> dict[str, set[str]]:
    """Return the names, such as "Class.method", of the functions called, by file."""
    found: dict[str, set[str]] = {}
    for source in package():
        path = str(ROOT / source.path)
        firsts = {line for file, line in called if file == path}
        names = found.setdefault(source.path, set())
        for around, node in source.functions():
            if min([node.lineno, *(part.lineno for part in node.decorator_list)]) in firsts:
                owner = f"{around.name}." if isinstance(around, ast.ClassDef) else ""
                names.add(f"{owner}{node.name}")
    return found


def encode() -> None:
    """Run directory -> vectors: a tokenizer and a model of a directory, and one pass."""
    import numpy as np

    from bert4keras import Tokenizer, build_transformer_model

    directory = FIXTURES / "bert_gelu"
    tokenizer = Tokenizer.from_pretrained(directory)
    model = build_transformer_model(directory)
    token_ids, segment_ids = tokenizer.encode("A text.")
    model.predict([np.array([token_ids]), np.array([segment_ids])], verbose=0)


def classify() -> None:
    """Run text -> answer of a classifier."""
    from bert4keras.tasks import TextClassifier

    TextClassifier.build(FIXTURES / "bert_gelu", labels=LABELS)("A text.")


def tag() -> None:
    """Run text -> answer of a tagger."""
    from bert4keras.tasks import Tagger

    Tagger.build(FIXTURES / "bert_gelu", labels=["PER"])("A text.")


def embed() -> None:
    """Run text -> vector of a sentence encoder."""
    from bert4keras.tasks import SentenceEncoder

    SentenceEncoder.build(FIXTURES / "bert_gelu")("A text.")


def core_lines(sources: Iterable[Source]) -> dict[str, int]:
    """Return the lines of code of each file of the core."""
    names = {f"bert4keras/{name}.py" for name in CORE}
    return {source.path: len(source.code_lines) for source in sources if source.path in names}


def totals(lines: dict[str, tuple[int, int]], known: Iterable[str] = ()) -> tuple[int, int, int]:
    """Return (modules, lines of functions, lines of modules) of the files that are not known."""
    new = [counts for path, counts in lines.items() if path not in set(known)]
    return len(new), sum(part for part, _ in new), sum(whole for _, whole in new)


def measure() -> dict[str, dict[str, tuple[int, int]]]:
    """Run every path and return the lines read in each file, by path.

    A function counts when it is called: a process that ran other things before may find its result
    in a cache, and one that goes on will. So one process is measured once. The weights of new heads
    are seeded, because a tagger that finds no entity does not compute the probability of one.
    """
    import keras

    keras.utils.set_random_seed(0)
    runs = {"encode": encode, "classify": classify, "tag": tag, "embed": embed}
    return {name: read_lines(record(run)) for name, run in runs.items()}


def measure_apart() -> dict[str, dict[str, tuple[int, int]]]:
    """Return what `measure` finds in a new process."""
    code = "import json; from figures import reading; print(json.dumps(reading.measure()))"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def report(details: bool = False) -> str:
    """Run every path and return the figures as text."""
    found = measure()
    base = found.pop("encode")
    lines = [f"core files: {sum(core_lines(package()).values())} lines of code"]
    text = "{}: {} modules, {} lines in functions that run, {} in these modules"
    lines.append(text.format("directory -> vectors", *totals(base)))
    for name, read in found.items():
        lines.append(text.format(f"more to {name}", *totals(read, base)))
    if details:
        lines += [f"{part:5}/{whole:4} {path}" for path, (part, whole) in sorted(base.items())]
    return "\n".join(lines)

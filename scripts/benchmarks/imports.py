"""Import time: fresh processes, interleaved."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from .contest import SideFailed, side_environment

IMPORT_TARGET = 0.3  # seconds on top of ``import keras``
STATEMENTS = {  # the package resolves its names lazily, so its everyday names are timed as well
    "import bert4keras": "import bert4keras",
    "builder, Tokenizer, DataGenerator": (
        "from bert4keras import DataGenerator, Tokenizer, build_transformer_model"
    ),
}
PROGRAM = """
import json, time
started = time.perf_counter()
import keras
middle = time.perf_counter()
{statement}
print(json.dumps([middle - started, time.perf_counter() - middle]))
"""


def once(statement: str, backend: str, threads: int) -> tuple[float, float]:
    """Return the seconds of ``import keras`` and of the statement after it, in a fresh process."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(statement=statement)],
        env=side_environment(backend, threads, "ours"),
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise SideFailed(result.stderr.strip().splitlines()[-1][:160])
    keras_seconds, ours_seconds = json.loads(result.stdout.splitlines()[-1])
    return keras_seconds, ours_seconds


def measure(rounds: int, backends: list[str], threads: int) -> list[dict]:
    """Return rows with medians in seconds, per backend and statement."""
    rows = []
    for backend in backends:
        times: dict[str, list] = {name: [] for name in STATEMENTS}
        for turn in range(-1, rounds):  # round -1 compiles and fills the file cache
            for name in list(times):
                try:
                    pair = once(STATEMENTS[name], backend, threads)
                except SideFailed as error:
                    del times[name]
                    rows.append({"name": name, "backend": backend, "error": str(error)})
                    continue
                if turn >= 0:
                    times[name].append(pair)
        for name, pairs in times.items():
            keras_seconds, ours_seconds = (statistics.median(x) for x in zip(*pairs, strict=True))
            rows.append(
                {"name": name, "backend": backend, "keras": keras_seconds, "ours": ours_seconds}
            )
    return rows

"""Sides take turns: processes that stay alive, rounds in alternating order, medians."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
SETTLE = 0.3  # seconds between turns, in which idle thread pools stop spinning


class SideFailed(RuntimeError):
    """A side could not do a case; the message is its error."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One participant of a contest.

    Args:
        label: name in the table, unique within a contest.
        module: module of benchmarks.sides.
        python: interpreter of its environment.
        backend: Keras backend, or None.
        options: passed to the case, on top of the contest's own.
    """

    label: str
    module: str
    python: str
    backend: str | None = None
    case: str | None = None
    options: dict = dataclasses.field(default_factory=dict)


def side_environment(backend: str | None, threads: int, module: str) -> dict[str, str]:
    """Environment variables of a worker: the same number of threads for every side."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "KERAS_BACKEND")}
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "RAYON_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ):
        environment[name] = str(threads)
    environment.update(CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3", HF_HUB_OFFLINE="1")
    environment.update(JAX_PLATFORMS="cpu", PYTHONWARNINGS="ignore")
    if backend:
        environment["KERAS_BACKEND"] = backend
    if module == "ours":
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    if module == "ancestor":
        environment.update(TF_KERAS="1", TF_USE_LEGACY_KERAS="1")
    return environment


def pin(threads: int) -> list[int] | None:
    """Return the cores a side may use, which size XLA's pools; None if the system cannot say."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return sorted(os.sched_getaffinity(0))[:threads]


class Worker:
    """The process of a side."""

    def __init__(self, side: Side, threads: int, log) -> None:
        cores = pin(threads)
        self.side = side
        self.process = subprocess.Popen(
            [side.python, str(WORKER), side.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=side_environment(side.backend, threads, side.module),
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
        )

    def ask(self, **command) -> dict:
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SideFailed(f"the process ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise SideFailed(answer["error"])
        return answer

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@dataclasses.dataclass
class Outcome:
    """Result of one side: seconds per unit in each round and of the first run, or an error."""

    side: Side
    seconds: list[float] = dataclasses.field(default_factory=list)
    first: float = 0.0
    check: float | None = None
    versions: dict = dataclasses.field(default_factory=dict)
    error: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def ratios(numerator: Outcome, denominator: Outcome) -> tuple[float, float, float]:
    """Return the lower quartile, median and upper quartile of the ratios of two sides by round."""
    values = [a / b for a, b in zip(numerator.seconds, denominator.seconds, strict=True)]
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def contest(
    sides: list[Side],
    case: str,
    options: dict,
    rounds: int,
    threads: int,
    log,
    clock: str = "wall",
) -> list[Outcome]:
    """Prepare every side, then let them take turns; a side that fails is kept with its error."""
    outcomes = [Outcome(side) for side in sides]
    workers: dict[str, Worker] = {}
    try:
        for outcome in outcomes:
            side = outcome.side
            workers[side.label] = Worker(side, threads, log)
            try:
                answer = workers[side.label].ask(
                    do="prepare",
                    case=side.case or case,
                    options={**options, **side.options},
                    clock=clock,
                )
                outcome.first, outcome.versions = answer["first"], answer["versions"]
            except SideFailed as error:
                outcome.error = str(error)
        for turn in range(-1, rounds):  # round -1 warms up and is not counted
            for outcome in outcomes if turn % 2 else reversed(outcomes):
                if outcome.error:
                    continue
                time.sleep(SETTLE)
                try:
                    answer = workers[outcome.side.label].ask(do="run", clock=clock)
                except SideFailed as error:
                    outcome.error = str(error)
                    continue
                if turn >= 0:
                    outcome.seconds.append(answer["seconds"])
                    outcome.check = answer.get("check")
    finally:
        for worker in workers.values():
            worker.close()
    return outcomes

"""`bert4keras benchmark`: speed and memory of a task on this machine."""

from __future__ import annotations

import itertools
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from .common import ModelCommand, emit, note
from .data import column_of
from .errors import Failure

if TYPE_CHECKING:
    from ..tasks import Task

_SAMPLE_TEXT = (
    "The tower was built in 1889, and it is still the most visited place of the city. 这座塔很高。"
)


@click.command("benchmark", cls=ModelCommand)
@click.argument("directory")
@click.argument("file", required=False)
@click.option("--batch-size", default=64, type=click.IntRange(1), show_default=True)
@click.option("--limit", default=512, type=click.IntRange(1), show_default=True, help="Texts.")
@click.option(
    "--single", default=50, type=click.IntRange(1), show_default=True, help="Texts one at a time."
)
@click.option("--text-column", "columns", multiple=True, metavar="COLUMN", help="As of predict.")
def command(
    directory: str,
    file: str | None,
    batch_size: int,
    limit: int,
    single: int,
    columns: tuple[str, ...],
) -> None:
    """Measure the task in DIRECTORY on the texts of FILE: speed, latency, memory.

    The first pass over the texts is not counted: it compiles the model for their lengths. Without
    FILE one sentence is repeated, for tasks that answer single texts.

    Example: bert4keras benchmark ner texts.txt
    """
    from ..tasks import load

    begun = time.perf_counter()
    task = load(directory)
    loaded = time.perf_counter() - begun
    samples = _samples(task, file, limit, tuple(map(column_of, columns)))
    values = measure(task, samples, batch_size, single)
    values = {"load_seconds": loaded, **values, "peak_memory_mb": _peak_memory()}
    emit({name: _rounded(value) for name, value in values.items()}, _benchmark_text(values))


def _samples(task: Task, file: str | None, limit: int, columns: tuple[Any, ...]) -> list[Any]:
    if file is None:
        samples: list[Any] = [_SAMPLE_TEXT] * limit
        try:
            task.encode(_SAMPLE_TEXT)
        except (ValueError, TypeError, AttributeError) as error:
            raise Failure(
                f"a {type(task).__name__} answers no single texts: give a FILE."
            ) from error
        return samples
    return read_some(task, file, limit, columns)


def read_some(task: Task, file: str, most: int, columns: tuple[Any, ...]) -> list[Any]:
    """Read at most so many samples of a file, as `predict` reads it.

    Raises:
        Failure: there is none that the task can answer.
    """
    from .records import Source

    records = itertools.islice(Source(file, columns=columns).records(task), most)
    samples = [record.sample for record in records if not record.error]
    if not samples:
        raise Failure(f"{file} has no text that the task can answer.")
    return samples


def measure(
    task: Task, samples: Sequence[Any], batch_size: int, single: int
) -> dict[str, float | int]:
    """Return speed and latencies of `predict` on samples.

    Args:
        task: the task.
        samples: at least one.
        batch_size: samples of a batch.
        single: number of samples that are answered one at a time.

    Returns:
        Texts, their tokens without padding; texts and tokens per second; median and 99th percentile
        of the time for one text and for a batch, in milliseconds.
    """
    tokens = sum(len(row[0]) for sample in samples for row in task.encode(sample).rows)
    parts = [samples[i : i + batch_size] for i in range(0, len(samples), batch_size)]
    ones = [[samples[i % len(samples)]] for i in range(single)]
    note(f"warming up on {len(samples)} texts")

    def run(part: Sequence[Any]) -> None:
        task.predict(part, batch_size, progress=False)

    for part in [*parts, *ones]:
        run(part)

    batched, alone = _times(run, parts), _times(run, ones)
    return {
        "texts": len(samples),
        "tokens": tokens,
        "batch_size": batch_size,
        "texts_per_second": len(samples) / sum(batched),
        "tokens_per_second": tokens / sum(batched),
        "single_p50_ms": 1000 * statistics.median(alone),
        "single_p99_ms": 1000 * percentile(alone, 0.99),
        "batch_p50_ms": 1000 * statistics.median(batched),
        "batch_p99_ms": 1000 * percentile(batched, 0.99),
    }


def _times(run: Callable[[Any], Any], parts: Sequence[Any]) -> list[float]:
    found = []
    for part in parts:
        begun = time.perf_counter()
        run(part)
        found.append(time.perf_counter() - begun)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least a share of all values do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def _peak_memory() -> float | None:
    """Return the largest resident memory of this process so far, in MB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # bytes, and kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def _benchmark_text(values: dict[str, Any]) -> str:
    shown = values["peak_memory_mb"]
    memory = "unknown" if shown is None else f"{shown:,.0f} MB"
    return "\n".join(
        [
            f"texts                {values['texts']:,} ({values['tokens']:,} tokens)",
            f"loaded in            {values['load_seconds']:.1f} s",
            f"texts per second     {values['texts_per_second']:,.1f}",
            f"tokens per second    {values['tokens_per_second']:,.0f}",
            f"one text             {values['single_p50_ms']:.1f} ms (median), "
            f"{values['single_p99_ms']:.1f} ms (99 %)",
            f"batch of {values['batch_size']:<11} {values['batch_p50_ms']:.1f} ms (median), "
            f"{values['batch_p99_ms']:.1f} ms (99 %)",
            f"peak memory          {memory}",
        ]
    )

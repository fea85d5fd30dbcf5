"""Comparison of an exported task with the original."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .answers import to_json

if TYPE_CHECKING:
    from .base import Task

_TIMED, _ROUNDS = 256, 3  # samples that are timed at most, and how often


@dataclasses.dataclass(frozen=True)
class ParityReport:
    """Comparison of an exported task with the original.

    Attributes:
        difference: largest absolute difference of an output of the main graph, on 32 of the samples
            or, without any, on random tokens.
        scale: largest absolute value of an output, for comparison.
        samples: number of samples below.
        agreement: share of the samples with the same answer, whose numbers may differ; None without
            samples, or if answers are only numbers.
        scores: scores of `evaluate` by name: (original, exported); empty without samples.
        size: (bytes of the original's weights, bytes of the graphs).
        seconds: (original, exported) per sample, medians of rounds in turns; None without samples.
        backends: (backend of the original, backend that built the graphs).
    """

    difference: float
    scale: float
    samples: int
    agreement: float | None
    scores: dict[str, tuple[float, float]]
    size: tuple[int, int]
    seconds: tuple[float, float] | None
    backends: tuple[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return to_json(self)

    def __str__(self) -> str:
        """Return the report as a table of Markdown."""
        lines = [("largest difference of an output", f"{self.difference:.2e} of {self.scale:.3g}")]
        if self.agreement is not None:
            lines.append(("same answers", f"{self.agreement:.2%} of {self.samples}"))
        for name, (before, after) in self.scores.items():
            lines.append((name, f"{before:.4f} before, {after:.4f} after"))
        before, after = (size / 1e6 for size in self.size)
        lines.append(("size", f"{before:.1f} MB of weights, {after:.1f} MB of graphs"))
        if self.seconds:
            original, exported = self.seconds
            lines.append(("speed", f"{original / exported:.2f} times that of {self.backends[0]}"))
        rows = "\n".join(f"| {name} | {value} |" for name, value in lines)
        return f"| compared | |\n|---|---|\n{rows}"


def compare(
    task: Task,
    exported: Task,
    samples: Sequence[tuple[Any, Any]],
    difference: float,
    scale: float,
    size: int,
    backend: str,
) -> ParityReport:
    """Compare the answers of two tasks.

    Args:
        task, exported: the original and the exported task.
        samples: pairs (sample, label); may be empty.
        difference, scale, backend: of `ParityReport`.
        size: bytes of the graphs.
    """
    import keras

    agreement, scores, seconds = None, {}, None
    if samples:
        texts, labels = [sample for sample, _ in samples], [label for _, label in samples]
        answers = [one.predict(texts) for one in (task, exported)]
        kept = [[_without_numbers(to_json(x)) for x in some] for some in answers]
        if any(_has_text(one) for one in kept[0]):
            same = [ours == theirs for ours, theirs in zip(*kept, strict=True)]
            agreement = sum(same) / len(same)
        if all(label is not None for label in labels):
            before, after = (
                one.metrics(some, labels)
                for one, some in zip((task, exported), answers, strict=True)
            )
            scores = {name: (float(before[name]), float(after[name])) for name in before}
        seconds = _timed(task, exported, texts[:_TIMED])
    weights = sum(int(np.prod(x.shape)) * 4 for x in task.model.weights)
    return ParityReport(
        difference,
        scale,
        len(samples),
        agreement,
        scores,
        (weights, size),
        seconds,
        (keras.backend.backend(), backend),
    )


def _timed(task: Task, exported: Task, texts: Sequence[Any]) -> tuple[float, float]:
    """Return the median seconds per text of both, which take turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for one, found in zip((task, exported), taken, strict=True):
            start = time.perf_counter()
            one.predict(texts)
            found.append((time.perf_counter() - start) / len(texts))
    return statistics.median(taken[0]), statistics.median(taken[1])


def _without_numbers(answer: Any) -> Any:
    """Return an answer in JSON values without its fractions, which are scores."""
    if isinstance(answer, dict):
        return {k: _without_numbers(v) for k, v in answer.items() if type(v) is not float}
    if isinstance(answer, list):
        return [_without_numbers(v) for v in answer if type(v) is not float]
    return answer


def _has_text(answer: Any) -> bool:
    return answer not in ([], {}, None)


def random_rows(task: Task, count: int = 8) -> list[tuple[Any, ...]]:
    """Return rows of random tokens in the form that the encoder takes.

    Args:
        task: the task.
        count: number of rows; half of them are longer than the others.
    """
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        length = min(task.maxlen, 9 if number % 2 else 21)
        row = []
        for name, spec in zip(task.encoder.inputs, task.model.inputs, strict=True):
            shape = [length if size is None else size for size in spec.shape[1:]]
            if name == "token_ids":
                row.append(random.integers(1, task.tokenizer.vocab_size, length))
            else:
                row.append(np.zeros(shape, spec.dtype))
        rows.append(tuple(row))
    return rows

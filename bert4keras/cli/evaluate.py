"""`bert4keras evaluate`: scores of a task on a labelled file, and its errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import ModelCommand, emit, note
from .data import Reading, kind_of, reading_options
from .errors import Failure

if TYPE_CHECKING:
    from ..tasks import Task
    from ..tasks.report import Report

_WIDEST = 12  # classes up to which confusions are shown as a matrix
_LISTED = 20  # confusions that are listed of more classes


@click.command("evaluate", cls=ModelCommand)
@click.argument("directory")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--errors", type=click.Path(path_type=Path), help="HTML page of the worst errors.")
@click.option("--most", type=click.IntRange(1), default=100, show_default=True, help="Errors.")
@click.option(
    "--foreign",
    type=click.Path(path_type=Path),
    help="Of a novelty detector: foreign texts, one a line; those of FILE are known.",
)
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@reading_options
def command(
    directory: str,
    file: Path,
    errors: Path | None,
    most: int,
    foreign: Path | None,
    batch_size: int,
    reading: Reading,
) -> None:
    """Score the task in DIRECTORY on the labelled FILE.

    Classifiers, taggers, readers and relation extractors are scored by class too, with the
    confusions and, by --errors, a page of the errors. The most confident errors come first.

    Example: bert4keras evaluate ner test.json --errors errors.html
    """
    from ..tasks import load

    task = load(directory)
    kind = kind_of(task)
    samples = kind.read(file, reading.for_task(task))
    _check_labels(file, kind.labels(samples), task)
    if kind.name == "novelty":
        report = _of_novelty(task, samples, foreign, reading, batch_size)
    elif not _is_detailed(task):
        from ..tasks.report import Report

        report = Report(task.evaluate(samples, batch_size=batch_size))
    else:
        texts, labels = unlabelled(samples)
        answers = task.predict(texts, batch_size)
        report = task.report(answers, labels)
        if errors is not None:
            _write_errors(errors, task, report, texts, answers, labels, most)
    if errors is not None and not _is_detailed(task):
        raise Failure(f"--errors: a {type(task).__name__} has no page of errors.")
    emit(_as_values(report, len(samples)), as_text(report, len(samples)))


def _check_labels(file: Path, given: Sequence[str], task: Task) -> None:
    """Refuse a file of which no label is one of the task's: all scores would be 0."""
    known = list(map(str, getattr(task, "labels", getattr(task, "predicates", ()))))
    if not given or not known or set(given) & set(known):
        return
    if given == [""]:
        raise Failure(
            f"{file}: its tags have no types, as B-PER has, so there are no labels to score; those "
            f"of the task are {_first_names(known)}."
        )
    raise Failure(
        f"{file}: its labels {_first_names(given)} are none of the task's: {_first_names(known)}."
    )


def _first_names(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _is_detailed(task: Task) -> bool:
    """Return whether the reports of a task have more than its scores."""
    from ..tasks import Task

    return type(task).report is not Task.report


def unlabelled(samples: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Part labelled samples, as `evaluate` takes them, into what `predict` takes and labels."""
    pairs = [(one, one.entities) if hasattr(one, "entities") else tuple(one) for one in samples]
    return [sample for sample, _ in pairs], [label for _, label in pairs]


def _of_novelty(
    task: Any, known: Sequence[str], foreign: Path | None, how: Reading, batch_size: int
) -> Report:
    from ..tasks.report import Report

    if foreign is None:
        raise Failure("a novelty detector is scored on two files: add --foreign FILE.")
    return Report(task.evaluate(known, kind_of(task).read(foreign, how), batch_size))


def _write_errors(
    path: Path,
    task: Task,
    report: Report,
    samples: Sequence[Any],
    answers: Sequence[Any],
    labels: Sequence[Any],
    most: int,
) -> None:
    """Write the page of the `most` worst errors."""
    from .._files import atomic_file
    from .error_page import error_page

    shown = dataclasses.replace(report, wrong=report.wrong[:most])
    with atomic_file(path) as staged:
        staged.write_text(error_page(task, shown, samples, answers, labels), encoding="utf-8")
    note(f"{len(shown.wrong)} of {len(report.wrong)} wrong answers: {path}")


def _as_values(report: Report, count: int) -> dict[str, Any]:
    """Return a report as an object for --json."""
    values: dict[str, Any] = {"samples": count, "scores": dict(report.scores)}
    if report.classes:
        values["classes"] = {
            name: {"precision": s.precision, "recall": s.recall, "f1": s.f1, "support": s.wanted}
            for name, s in report.classes.items()
        }
    if report.confusion:
        values["confusion"] = [
            {"wanted": wanted, "found": found, "count": n}
            for (wanted, found), n in sorted(report.confusion.items())
        ]
    if report.classes or report.wrong:
        values["wrong"] = [
            {"sample": place + 1, "confidence": score} for place, score in report.wrong
        ]
    return values


def as_text(report: Report, count: int) -> str:
    """Return a report for people: scores, a table of the classes, the confusions."""
    parts = [f"{count} samples", aligned([[n, f"{v:.4f}"] for n, v in _overall(report).items()])]
    if report.classes:
        rows = [["class", "precision", "recall", "f1", "support"]]
        for name, s in report.classes.items():
            figures = [f"{value:.4f}" for value in (s.precision, s.recall, s.f1)]
            rows.append([name or "(word)", *figures, str(s.wanted)])
        parts.append(aligned(rows))
    if report.confusion:
        parts.append(_confusions(report.confusion))
    return "\n\n".join(parts)


def _overall(report: Report) -> Mapping[str, float]:
    """Return the scores, without those of single classes, which the table has."""
    own = {f"f1_{name}" for name in report.classes}
    return {name: value for name, value in report.scores.items() if name not in own}


def _confusions(counts: Mapping[tuple[str, str], int]) -> str:
    wanted = sorted({one for one, _ in counts}, key=_order)
    found = sorted({other for _, other in counts}, key=_order)
    if max(len(wanted), len(found)) <= _WIDEST:
        rows = [["wanted \\ found", *(name or "(word)" for name in found)]]
        for one in wanted:
            rows.append([one or "(word)", *(str(counts.get((one, x), 0)) for x in found)])
        return aligned(rows)
    most = sorted(
        ((n, one, other) for (one, other), n in counts.items() if one != other),
        key=lambda item: (-item[0], item[1:]),
    )
    rows = [["wanted", "found", "count"]]
    rows += [[one, other, str(n)] for n, one, other in most[:_LISTED]]
    return aligned(rows) + ("\n..." if len(most) > _LISTED else "")


def _order(name: str) -> tuple[bool, str]:
    return name.startswith("("), name


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Align columns; Chinese characters are two places wide."""
    from ..display.texts import escape_control_characters

    safe = [[escape_control_characters(cell).replace("\n", "\\n") for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*safe, strict=True)]
    lines = []
    for row in safe:
        first = row[0] + " " * (widths[0] - _width(row[0]))
        rest = [
            " " * (width - _width(cell)) + cell
            for width, cell in zip(widths[1:], row[1:], strict=True)
        ]
        lines.append("  ".join([first, *rest]))
    return "\n".join(lines)


def _width(text: str) -> int:
    import unicodedata

    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text)

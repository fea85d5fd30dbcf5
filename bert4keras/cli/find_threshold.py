"""`bert4keras find-threshold`: the threshold of a task that fits a labelled file best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import ModelCommand, emit, note
from .data import Reading, kind_of, reading_options
from .errors import Failure
from .evaluate import aligned, unlabelled

if TYPE_CHECKING:
    from ..tasks.thresholds import Curve

_CURVE_ROWS = 11  # of the table
_PROPORTION = click.FloatRange(0, 1, min_open=True)
_PATH = click.Path(path_type=Path)


@click.command("find-threshold", cls=ModelCommand)
@click.argument("directory")
@click.argument("file", type=_PATH)
@click.option("--precision", type=_PROPORTION, help="Least precision. Default: the highest F1.")
@click.option("--recall", type=_PROPORTION, help="Least recall.")
@click.option("--foreign", type=_PATH, help="Of a novelty detector: foreign texts, one a line.")
@click.option("--picture", type=_PATH, help="Picture of the curve, such as curve.png.")
@click.option("--write", is_flag=True, help="Store the threshold in DIRECTORY.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@reading_options
def command(
    directory: str,
    file: Path,
    precision: float | None,
    recall: float | None,
    foreign: Path | None,
    picture: Path | None,
    write: bool,
    batch_size: int,
    reading: Reading,
) -> None:
    """Find the threshold of the task in DIRECTORY that has the best F1 on the labelled FILE.

    With --precision or --recall it is the best of those that reach them. All distinct scores of
    the answers are tried.

    Example: bert4keras find-threshold ner valid.json --precision 0.9 --write
    """
    from ..tasks import load
    from ..tasks.storage import save_options
    from ..tasks.threshold_search import find_candidates, with_threshold
    from ..tasks.thresholds import threshold_curve

    if write and not (Path(directory) / "task.json").is_file():
        raise Failure(f"--write: {directory} is no directory of a saved task.")
    task = load(directory)
    samples, labels = _labelled(task, file, foreign, reading)
    found = find_candidates(task, samples, labels, batch_size)
    if write and not found.option:
        raise Failure(f"--write: a {type(task).__name__} stores no threshold: {found.note}")
    curve = threshold_curve(found.scores, found.right, found.wanted)
    best = curve.best(precision, recall)
    values: dict[str, Any] = {
        **_row(curve, best),
        "candidates": len(curve.thresholds),
        "note": found.note,
    }
    if found.option:
        values["option"] = found.option
    values["curve"] = [_row(curve, k) for k in _chosen(curve, best)]
    if picture is not None:
        _save_picture(curve, best, picture)
    if write:
        task, values["written"] = with_threshold(task, found, values["threshold"])
        save_options(task, directory)
    emit(values, _as_table(values))


def _labelled(
    task: Any, file: Path, foreign: Path | None, how: Reading
) -> tuple[list[Any], list[Any]]:
    """Return samples and labels; of a novelty detector whether a text is foreign."""
    kind = kind_of(task)
    samples = kind.read(file, how.for_task(task))
    if kind.name != "novelty":
        return unlabelled(samples)
    if foreign is None:
        raise Failure("a novelty detector needs two files: add --foreign FILE.")
    others = kind.read(foreign, how)
    return [*samples, *others], [False] * len(samples) + [True] * len(others)


def _row(curve: Curve, place: int) -> dict[str, float]:
    names = ("threshold", "precision", "recall", "f1")
    arrays = (curve.thresholds, curve.precisions, curve.recalls, curve.f1)
    return {name: float(array[place]) for name, array in zip(names, arrays, strict=True)}


def _chosen(curve: Curve, best: int) -> list[int]:
    """Return places that are spread over the recalls, and the best one."""
    import numpy as np

    steps = np.linspace(curve.recalls[0], curve.recalls[-1], _CURVE_ROWS)
    places = np.searchsorted(curve.recalls, steps)
    return sorted({best, *np.minimum(places, len(curve.recalls) - 1).tolist()})


def _save_picture(curve: Curve, best: int, path: Path) -> None:
    from matplotlib import pyplot

    from ..display import plot_threshold

    arrays = {
        "threshold": curve.thresholds,
        "precision": curve.precisions,
        "recall": curve.recalls,
        "f1": curve.f1,
    }
    lists = {name: array.tolist() for name, array in arrays.items()}
    axes = plot_threshold(lists, float(curve.thresholds[best]))
    axes.figure.savefig(path)
    pyplot.close(axes.figure)
    note(f"curve: {path}")


def _as_table(values: dict[str, Any]) -> str:
    names = ("threshold", "precision", "recall", "f1")
    rows: list[Sequence[str]] = [("", *names)]
    for row in values["curve"]:
        mark = "*" if row["threshold"] == values["threshold"] else ""
        rows.append((mark, *(f"{row[name]:.4f}" for name in names)))
    parts = [aligned(rows), f"best of {values['candidates']}: {values['threshold']:.6g}"]
    parts.append(f"{values.get('option') or 'no option of the task'}: {values['note']}")
    if "written" in values:
        parts.append(f"written: {values['option']}={values['written']:.6g}")
    return "\n".join(parts)

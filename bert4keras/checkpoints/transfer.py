"""Load a checkpoint into a model and save a model as a checkpoint, through the name tables."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..registry import all_tables
from .assignment import FLOATS, Assignment, assign_tensors, dtype_of, known_weights, prefix_of
from .errors import CheckpointError
from .lazy_tensor import LazyTensor, fused
from .readers import CheckpointReader, open_checkpoint
from .resize import fit_weight
from .table import TensorTransform, WeightTable
from .tensor_match import (
    TensorMatch,
    guess_family,
    match_tensors,
    matches,
    row_label,
    some,
)
from .vocabulary_edit import VocabularyEdit
from .writers import (
    atomic_checkpoint,
    put_json,
    put_safetensors,
    put_tensorflow,
    writing,
)

logger = logging.getLogger(__name__)

# format -> (suffix of an explicit file, file in a directory, config beside it)
LAYOUTS = {
    "huggingface": (".safetensors", "model.safetensors", "config.json"),
    "google": (".ckpt", "bert_model.ckpt", "bert_config.json"),
}


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What became of every weight of the model and every tensor of the checkpoint.

    Attributes:
        source: where the checkpoint was.
        table: name of the table that was used.
        loaded: our weight path -> their tensor name.
        missing: our weights left as they were because `ignore` allows it (absent or mis-shaped).
        unexpected: tensors which the table does not know.
        reshaped: our weights whose vocabulary rows were cut or extended.
        unused: tensors which are known but have no place in this model, such as heads.
        ignored: tensors which are no weights -> why.
        untouched: weights of the model which the table does not know, such as a new head.
    """

    source: str
    table: str
    loaded: Mapping[str, str]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    ignored: Mapping[str, str] = dataclasses.field(default_factory=dict)
    untouched: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.source} ({self.table})"]
        for field in dataclasses.fields(self)[2:]:
            names = getattr(self, field.name)
            if names:
                shown = "" if field.name == "loaded" else f"  {some(names)}"
                lines.append(f"  {field.name:<11}{len(names):>5}{shown}")
        return "\n".join(lines)


def load(
    model: Any,
    source: Any,
    ignore: str | Iterable[str] = (),
    keep_tokens: Sequence[int] | None = None,
    compound_tokens: Sequence | None = None,
    tables: Sequence[WeightTable] | None = None,
    progress: bool = False,
    autoresize_weights: bool = False,
) -> LoadReport:
    """Fill the weights of a model from a checkpoint, by name; frozen layers too.

    Names and shapes are checked before anything is assigned. Then one tensor at a time is read;
    should one of them turn out to be damaged, those before it are already in the model.

    Args:
        model: a built Keras model whose layers carry our names, alone or among others.
        source: see `open_checkpoint`.
        ignore: fnmatch patterns on our weight path or their tensor name; weights that match may
            be missing or mis-shaped and then keep their value.
        keep_tokens: old token ids to keep, in the new order.
        compound_tokens: rows to append, `[id, ...]` or `([id, ...], [weight, ...])` each; ids
            count after `keep_tokens`, and the new row is the (weighted) mean of theirs.
        tables: candidates; None means every registered table.
        progress: show a bar.
        autoresize_weights: fit weights of other sizes, but for the vocabulary; see `fit_weight`.

    Returns:
        A `LoadReport`; `print(report)` shows it as a small table.

    Raises:
        CheckpointError: unreadable source, missing or mis-shaped weights, token ids out of range.
    """
    edit = VocabularyEdit.of(keep_tokens, compound_tokens)
    ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    with open_checkpoint(source) as reader:
        names = reader.names
        match = match_tensors(reader, all_tables() if tables is None else tuple(tables))
        variables, untouched = known_weights(model, match.table)
        assignments, missing = assign_tensors(
            reader, match, variables, edit, ignore, autoresize_weights
        )
        _check_copies(reader, match, {assignment.stored for assignment in assignments})
        bar = _progress_bar(assignments, "loading", progress)
        reshaped = tuple(
            assignment.row.weight for assignment in bar if _assign(assignment, reader, edit)
        )
    used = {assignment.stored for assignment in assignments}
    report = LoadReport(
        source=reader.source,
        table=match.table.name,
        loaded={assignment.row.weight: assignment.stored for assignment in assignments},
        missing=missing,
        unexpected=match.unexpected,
        reshaped=reshaped,
        unused=tuple(name for name in match.names.values() if name not in used),
        ignored=match.ignored,
        untouched=untouched,
    )
    if report.unexpected:
        guess = guess_family(names)
        logger.warning("%s: unexpected %s. %s", report.source, some(report.unexpected), guess)
    return report


def _check_copies(reader: CheckpointReader, match: TensorMatch, used: set[str]) -> None:
    """A tied tensor that differs from its original would be lost without a word."""
    for stored, entry in match.copies.items():
        source = match.names[entry.copy_of]
        if match.names.get(entry.used_with) not in used:
            continue
        if not np.array_equal(reader.read(stored), reader.read(source)):
            raise CheckpointError(
                f"{reader.source}: `{stored}` should equal `{source}` but does not. A model with "
                "untied weights cannot be represented; drop that tensor if it is not needed."
            )


def _assign(assignment: Assignment, reader: CheckpointReader, edit: VocabularyEdit) -> bool:
    """Fill a weight; whether the tensor had to be cut, extended or resized for it."""
    shape = tuple(assignment.variable.shape)
    try:
        value = assignment.row.transform.forward(reader.read(assignment.stored))
        cut = bool(edit) and assignment.row.per_token
        value = edit.apply(value) if cut else value
        fitted = fit_weight(assignment.row.weight, value, shape)
        assignment.variable.assign(np.ascontiguousarray(fitted))
        return cut or fitted is not value
    except Exception as error:
        label = row_label(assignment.row, assignment.stored)
        raise CheckpointError(f"while loading {label}: {error}") from error


def save(
    model: Any,
    path: str | Path,
    format: str = "huggingface",
    tables: Sequence[WeightTable] | None = None,
    config: Any = None,
    ignore: str | Iterable[str] = (),
) -> list[Path]:
    """Write the weights of a model as a checkpoint that other programs read.

    What was at `path` is replaced at the end, as a whole; see `bert4keras.checkpoints.writers`.

    Args:
        model: a built Keras model whose layers carry our names.
        path: a directory, or a file: `*.safetensors`, or a TensorFlow prefix `*.ckpt`.
        format: `"huggingface"` (safetensors) or `"google"` (TensorFlow checkpoint).
        tables: candidates; None means those of the model's family (`checkpoint_tables`), or every
            registered table where it does not say.
        config: a mapping, or an object with `to_json_dict()`, for the json beside the weights. By
            default it is the model's own where `path` is a directory, so that
            `build_transformer_model(path)` opens it; beside an explicit file none is written.
        ignore: fnmatch patterns on weight paths that are left out.

    Returns:
        The files written; a TensorFlow checkpoint counts as its prefix.

    Raises:
        CheckpointError: a weight that the table does not know, an unknown format, or a failure to
            write, after which the old files are intact.
    """
    ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    if tables is None:
        tables = getattr(model, "checkpoint_tables", None) or all_tables()
    paths = [variable.path for variable in model.weights]
    table = table_for(format, tables, paths, prefix_of(model))
    variables, unknown = known_weights(model, table)
    unknown = [name for name in unknown if not matches(ignore, name)]
    if unknown:
        raise CheckpointError(
            f"{table.name} has no name for {some(unknown)}. Save the encoder alone, or leave them "
            'out with ignore=["..."]. LoRA or quantized weights must be merged first.'
        )
    pieces: dict[str, list[tuple[TensorTransform, LazyTensor]]] = {}
    for variable, row in variables:
        if not matches(ignore, row.weight, variable.path):
            pieces.setdefault(row.tensor, []).append((row.transform, _lazy(variable)))
    tensors = {name: fused(name, parts) for name, parts in pieces.items()}
    known = getattr(model, "config", config)
    if hasattr(known, "to_json_dict"):
        constants = (entry for entry in table.ignored if entry.constant)
        tensors |= {entry.pattern: LazyTensor.of(entry.constant(known)) for entry in constants}
    if config is None and Path(path).suffix != LAYOUTS[format][0]:
        config = getattr(model, "config", None)
    return write_checkpoint(path, table, tensors, config)


def table_for(
    format: str, tables: Iterable[WeightTable], paths: Sequence[str], prefix: str = ""
) -> WeightTable:
    """The table of a format that knows most of the weights of these paths.

    Raises:
        CheckpointError: no table has this format.
    """
    candidates = [table for table in tables if table.format == format]
    if format not in LAYOUTS:
        raise CheckpointError(f"unknown format {format!r}; known are {', '.join(sorted(LAYOUTS))}")
    if not candidates:
        names = ", ".join(table.name for table in tables)
        raise CheckpointError(f"this family has no {format!r} format, only: {names}")
    return max(candidates, key=lambda t: sum(t.of_weight(p, prefix) is not None for p in paths))


def write_checkpoint(
    path: str | Path,
    table: WeightTable,
    tensors: Mapping[str, np.ndarray | LazyTensor],
    config: Any = None,
    max_shard_size: int | None = None,
    beside: Iterable[Path] = (),
) -> list[Path]:
    """Write tensors under the canonical names of a table, and other files beside them.

    Args:
        path: a directory or an explicit file, see `save`.
        table: whose names these are; its format decides the kind of file.
        tensors: by canonical name; lazy ones are made when they are written.
        config: a mapping or an object with `to_json_dict()`; None writes none.
        max_shard_size: bytes per file, see `write_safetensors` and `write_tensorflow`.
        beside: files to copy.

    Returns:
        The files written.
    """
    suffix, file, config_file = LAYOUTS[table.format]
    path = Path(path)
    target = path if path.suffix == suffix else path / file
    rename = table.stored_name(tensors)
    tensors = {rename(name): tensor for name, tensor in tensors.items()}
    put = put_safetensors if table.format == "huggingface" else put_tensorflow
    with writing(target), atomic_checkpoint(target.parent, target.name) as staging:
        names = put(staging, target.name, tensors, max_shard_size=max_shard_size)
        if config is not None:
            values = config.to_json_dict() if hasattr(config, "to_json_dict") else config
            put_json(staging / config_file, values)
            names.append(config_file)
        names += [Path(shutil.copyfile(file, staging / file.name)).name for file in beside]
    return [target.with_name(name) for name in names]


def _lazy(variable: Any) -> LazyTensor:
    """A weight on its way to a file: copied from its device when its turn comes."""
    import keras

    if dtype_of(variable) not in FLOATS:
        raise CheckpointError(f"`{variable.path}` is {dtype_of(variable)}: save before quantizing")

    def array() -> np.ndarray:
        tensor = keras.ops.convert_to_tensor(variable)
        return keras.ops.convert_to_numpy(tensor).astype(np.float32, copy=False)

    # Half precisions widen without loss, and every reader knows float32.
    return LazyTensor(tuple(variable.shape), np.dtype(np.float32), array)


def _progress_bar(items: Sequence, description: str, enabled: bool) -> Iterable:
    """`items`, behind a bar if wanted."""
    if not enabled:
        return items
    from tqdm import tqdm

    return tqdm(items, desc=description, unit="tensor", leave=False)

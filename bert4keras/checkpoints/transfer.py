"""Loading of checkpoints into models and saving of models as checkpoints, through the tables."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..registry import all_tables
from .assignment import FLOATS, Assignment, assign_tensors, dtype_of, known_weights, prefix_of
from .errors import CheckpointError
from .lazy_tensor import LazyTensor, fuse_lazily
from .readers import CheckpointReader, CheckpointSource, open_checkpoint
from .resize import fit_weight
from .table import WeightTable
from .tensor_match import (
    TensorMatch,
    first_names,
    guess_family,
    match_tensors,
    matches,
    row_label,
)
from .tensor_transform import TensorTransform
from .vocabulary_edit import VocabularyEdit
from .writers import (
    atomic_checkpoint,
    checkpoint_errors,
    put_json,
    put_safetensors,
    put_tensorflow,
)

if TYPE_CHECKING:
    import keras

    from ..config import TransformerConfig

logger = logging.getLogger(__name__)

# Format -> (suffix of an explicit file, file name in a directory, config beside it).
CHECKPOINT_FILES = {
    "huggingface": (".safetensors", "model.safetensors", "config.json"),
    "google": (".ckpt", "bert_model.ckpt", "bert_config.json"),
}


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """The result of `load`: every weight of the model and every tensor of the checkpoint.

    Attributes:
        source: path of the checkpoint.
        table: name of the table that was used.
        loaded: path of the weight -> name of its tensor.
        missing: weights that keep their values because `ignore` allows it (absent or mis-shaped).
        unexpected: tensors that the table does not know.
        reshaped: weights whose tensor was cut, extended or resized.
        unused: tensors that are known but not used by this model, such as heads.
        ignored: tensors that are no weights -> reason.
        untouched: weights of the model that the table does not know, such as a new head.
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
                listed = "" if field.name == "loaded" else f"  {first_names(names)}"
                lines.append(f"  {field.name:<11}{len(names):>5}{listed}")
        return "\n".join(lines)


def load(
    model: keras.Model,
    source: CheckpointSource,
    ignore: str | Iterable[str] = (),
    keep_tokens: Sequence[int] | None = None,
    compound_tokens: Sequence | None = None,
    tables: Sequence[WeightTable] | None = None,
    progress: bool = False,
    autoresize_weights: bool = False,
) -> LoadReport:
    """Fill the weights of a model from a checkpoint, by name; those of frozen layers too.

    All names and shapes are checked before any weight is assigned. Then the tensors are read one at
    a time; if one is damaged, the weights before it have already been assigned.

    Args:
        model: a built Keras model that has layers with the names of this package.
        source: see `open_checkpoint`.
        ignore: fnmatch patterns on weight paths or tensor names. Weights that match may be missing
            or mis-shaped, and then keep their values.
        keep_tokens: old token ids to keep, in the new order.
        compound_tokens: rows to append, `[id, ...]` or `([id, ...], [weight, ...])` each. The ids
            count after `keep_tokens`; the new row is the (weighted) mean of their rows.
        tables: candidates; None means every registered table.
        progress: show a progress bar.
        autoresize_weights: resize weights of other sizes, except the vocabulary; see `fit_weight`.

    Returns:
        A `LoadReport`; `print(report)` prints it as a small table.

    Raises:
        CheckpointError: an unreadable source, missing or mis-shaped weights, token ids out of
            range.
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
        logger.warning(
            "%s: unexpected %s. %s", report.source, first_names(report.unexpected), guess
        )
    return report


def _check_copies(reader: CheckpointReader, match: TensorMatch, used: set[str]) -> None:
    """Refuse a copy of a tied tensor that differs from its original: its values would be lost."""
    for stored, entry in match.copies.items():
        source = match.names[entry.copy_of]
        if match.names.get(entry.used_with) not in used:
            continue
        if not np.array_equal(reader.read(stored), reader.read(source)):
            raise CheckpointError(
                f"{reader.source}: `{stored}` should equal `{source}` but does not. Untied weights "
                "are not supported; remove that tensor if it is not needed."
            )


def _assign(assignment: Assignment, reader: CheckpointReader, edit: VocabularyEdit) -> bool:
    """Fill a weight; return whether its tensor was cut, extended or resized."""
    variable: keras.Variable = assignment.variable
    shape = tuple(variable.shape)
    try:
        value = assignment.row.transform.forward(reader.read(assignment.stored))
        cut = bool(edit) and assignment.row.per_token
        value = edit.apply(value) if cut else value
        fitted = fit_weight(assignment.row.weight, value, shape)
        variable.assign(np.ascontiguousarray(fitted))
        return cut or fitted is not value
    except Exception as error:
        label = row_label(assignment.row, assignment.stored)
        raise CheckpointError(f"while loading {label}: {error}") from error


def save(
    model: keras.Model,
    path: str | Path,
    format: str = "huggingface",
    tables: Sequence[WeightTable] | None = None,
    config: Mapping[str, Any] | TransformerConfig | None = None,
    ignore: str | Iterable[str] = (),
) -> list[Path]:
    """Write the weights of a model as a checkpoint that other libraries read.

    A checkpoint at `path` is replaced at the end, atomically; see `bert4keras.checkpoints.writers`.

    Args:
        model: a built Keras model whose layers have the names of this package.
        path: a directory, or a file: `*.safetensors`, or a TensorFlow prefix `*.ckpt`.
        format: `"huggingface"` (safetensors) or `"google"` (TensorFlow checkpoint).
        tables: candidates; None means those of the model's family (`checkpoint_tables`) or, if it
            has none, every registered table.
        config: config for the json beside the weights. None means the model's own if `path` is a
            directory, so that `build_transformer_model(path)` opens it; beside an explicit file
            none is written.
        ignore: fnmatch patterns on weight paths that are left out.

    Returns:
        The files written; for a TensorFlow checkpoint its prefix.

    Raises:
        CheckpointError: a weight that the table does not know, an unknown format, or files that
            could not be written; the old ones are intact.
    """
    ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    if tables is None:
        tables = getattr(model, "checkpoint_tables", None) or all_tables()
    paths = [variable.path for variable in model.weights]
    table = table_for(format, tables, paths, prefix_of(model))
    variables, without_row = known_weights(model, table)
    unknown = [name for name in without_row if not matches(ignore, name)]
    if unknown:
        raise CheckpointError(
            f"{table.name} has no name for {first_names(unknown)}. Save only the encoder, or leave "
            'them out with ignore=["..."]. LoRA or quantized weights must be merged first.'
        )
    pieces: dict[str, list[tuple[TensorTransform, LazyTensor]]] = {}
    for variable, row in variables:
        if not matches(ignore, row.weight, variable.path):
            pieces.setdefault(row.tensor, []).append((row.transform, _lazy(variable)))
    tensors = {name: fuse_lazily(name, parts) for name, parts in pieces.items()}
    known = getattr(model, "config", config)
    if hasattr(known, "to_json_dict"):
        constants = (entry for entry in table.ignored if entry.constant)
        tensors |= {entry.pattern: LazyTensor.of(entry.constant(known)) for entry in constants}
    if config is None and Path(path).suffix != CHECKPOINT_FILES[format][0]:
        config = getattr(model, "config", None)
    return write_checkpoint(path, table, tensors, config)


def table_for(
    format: str, tables: Iterable[WeightTable], paths: Sequence[str], prefix: str = ""
) -> WeightTable:
    """Return the table of a format that knows the most of some weight paths.

    Args:
        format: key of `CHECKPOINT_FILES`.
        tables: candidates.
        paths: paths of weights.
        prefix: prefix of layer names, as for `WeightTable.of_weight`.

    Raises:
        CheckpointError: an unknown format, or no table has it.
    """
    if format not in CHECKPOINT_FILES:
        known = ", ".join(sorted(CHECKPOINT_FILES))
        raise CheckpointError(f"unknown format {format!r}; known formats: {known}.")
    candidates = [table for table in tables if table.format == format]
    if not candidates:
        names = ", ".join(table.name for table in tables)
        raise CheckpointError(f"this family has no {format!r} format, only: {names}.")
    return max(candidates, key=lambda t: sum(t.of_weight(p, prefix) is not None for p in paths))


def write_checkpoint(
    path: str | Path,
    table: WeightTable,
    tensors: Mapping[str, np.ndarray | LazyTensor],
    config: Mapping[str, Any] | TransformerConfig | None = None,
    max_shard_size: int | None = None,
    beside: Iterable[Path] = (),
) -> list[Path]:
    """Write tensors under the canonical names of a table, with a config and other files.

    Args:
        path: a directory or an explicit file, as for `save`.
        table: the table of the names; its format is that of the file.
        tensors: canonical name -> tensor; lazy ones are made when they are written.
        config: config for the json beside the weights; None writes none.
        max_shard_size: bytes per file, see `write_safetensors` and `write_tensorflow`.
        beside: files to copy into the directory.

    Returns:
        The files written.
    """
    suffix, file, config_file = CHECKPOINT_FILES[table.format]
    path = Path(path)
    target = path if path.suffix == suffix else path / file
    rename = table.stored_name(tensors)
    tensors = {rename(name): tensor for name, tensor in tensors.items()}
    put = put_safetensors if table.format == "huggingface" else put_tensorflow
    with checkpoint_errors(target), atomic_checkpoint(target.parent, target.name) as staging:
        names = put(staging, target.name, tensors, max_shard_size=max_shard_size)
        if config is not None:
            values = config if isinstance(config, Mapping) else config.to_json_dict()
            put_json(staging / config_file, values)
            names.append(config_file)
        names += [Path(shutil.copyfile(file, staging / file.name)).name for file in beside]
    return [target.with_name(name) for name in names]


def _lazy(variable: keras.Variable) -> LazyTensor:
    """Return a variable as a lazy tensor: it is copied from its device when it is written."""
    import keras

    if dtype_of(variable) not in FLOATS:
        raise CheckpointError(f"`{variable.path}` is {dtype_of(variable)}: save before quantizing")

    def array() -> np.ndarray:
        tensor = keras.ops.convert_to_tensor(variable)
        return keras.ops.convert_to_numpy(tensor).astype(np.float32, copy=False)

    # Half precisions convert to float32 exactly, and every reader knows float32.
    return LazyTensor(tuple(variable.shape), np.dtype(np.float32), array)


def _progress_bar(items: Sequence, description: str, enabled: bool) -> Iterable:
    """Return `items`, behind a progress bar if enabled."""
    if not enabled:
        return items
    from tqdm import tqdm

    return tqdm(items, desc=description, unit="tensor", leave=False)

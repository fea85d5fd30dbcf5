"""Which tensor of a checkpoint fills which weight: names and shapes, compared before anything."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..registry import all_tables
from .errors import CheckpointError
from .readers import CheckpointReader
from .table import WeightMap, WeightTable
from .tensor_match import (
    TensorMatch,
    guess_family,
    match_tensors,
    matches,
    row_label,
    some,
)
from .vocabulary_edit import VocabularyEdit

FLOATS = ("float64", "float32", "float16", "bfloat16")
_ANCHOR = "Embedding-Token"  # a layer that every family has


@dataclasses.dataclass(frozen=True)
class Assignment:
    """One weight to fill: the variable, its row, and the stored tensor that fills it."""

    variable: Any
    row: WeightMap
    stored: str


@dataclasses.dataclass(frozen=True)
class WeightSpec:
    """A weight of a model that is not built yet."""

    path: str
    shape: tuple[int, ...]
    dtype: str = "float32"


def check_sizes(
    reader: CheckpointReader,
    weights: Iterable[WeightSpec],
    depths: Mapping[str, tuple[str, int]],
    tables: Sequence[WeightTable] | None = None,
    edit: VocabularyEdit | None = None,
    ignore: Sequence[str] = (),
    resize: bool = False,
) -> None:
    """Compare the sizes of a config with a checkpoint, before a model is built by them.

    Args:
        reader: an open checkpoint; only its names and shapes are looked at.
        weights: some of the weights that the model will have.
        depths: option of the config -> how the paths of a block's weights begin, and how many
            blocks there are: `{"num_hidden_layers": ("Transformer-{i}-", 12)}`.
        tables, ignore, resize: as of `load`.
        edit: what happens to the vocabulary.

    Raises:
        CheckpointError: what `load` would refuse too.
    """
    match = match_tensors(reader, all_tables() if tables is None else tuple(tables))
    for option, (template, depth) in depths.items():
        _check_depth(reader, match, option, template, depth, tuple(ignore))
    found = [(weight, match.table.of_weight(weight.path)) for weight in weights]
    known = [(weight, row) for weight, row in found if row is not None]
    assign_tensors(reader, match, known, edit or VocabularyEdit.of(), tuple(ignore), resize)


def _check_depth(
    reader: CheckpointReader,
    match: TensorMatch,
    option: str,
    template: str,
    depth: int,
    ignore: tuple[str, ...],
) -> None:
    """Refuse more blocks than the checkpoint has, where their weights may not be missing."""
    pattern = re.compile(re.escape(template).replace(r"\{i\}", r"(\d+)"))
    rows = [row for name in match.names for row in match.table.of_tensor(name)]
    blocks = {int(found[1]): row for row in rows if (found := pattern.match(row.weight))}
    stored = max(blocks, default=-1) + 1
    if not blocks or depth <= stored:
        return
    sample = pattern.sub(template.format(i=stored), blocks[stored - 1].weight)
    absent = match.table.of_weight(sample)
    if absent is None or matches(ignore, absent.weight, absent.tensor):
        return
    raise CheckpointError(
        f"{reader.source} does not fit the model: it has {stored} blocks, and the config asks for "
        f"{depth} (`{option}`). {guess_family(reader.names)}. Correct the number; or, if new "
        f'blocks may keep their initial values, name them: ignore=["{template.format(i="*")}*"].'
    )


def prefix_of(model: Any) -> str:
    """With which the names of a model's layers begin (`prefix` of `build_transformer_model`).

    Returns:
        "" too where a model has several encoders.
    """
    parts = {part for variable in model.weights for part in variable.path.split("/")}
    found = {part.removesuffix(_ANCHOR) for part in parts if part.endswith(_ANCHOR)}
    return found.pop() if len(found) == 1 else ""


def known_weights(
    model: Any, table: WeightTable
) -> tuple[list[tuple[Any, WeightMap]], tuple[str, ...]]:
    """Weights of the model with their rows, and the paths of those that have none."""
    prefix = prefix_of(model)
    known: dict[str, tuple[Any, WeightMap]] = {}
    unknown = []
    for variable in {id(v): v for v in model.weights}.values():  # shared layers appear once
        row = table.of_weight(variable.path, prefix)
        if row is None:
            unknown.append(variable.path)
        elif row.weight in known:
            raise CheckpointError(
                f"the model has two weights `{row.weight}`: `{known[row.weight][0].path}` and "
                f"`{variable.path}`. Load or save each of its encoders by itself."
            )
        else:
            known[row.weight] = variable, row
    if not known:
        found = some(unknown) if unknown else "none; build it first"
        raise CheckpointError(
            f"the model has no weight that {table.name} knows (such as `{table.rows[0].weight}`); "
            f"its weights: {found}."
        )
    return list(known.values()), tuple(unknown)


def assign_tensors(
    reader: CheckpointReader,
    match: TensorMatch,
    variables: list[tuple[Any, WeightMap]],
    edit: VocabularyEdit,
    ignore: tuple[str, ...],
    resize: bool,
) -> tuple[list[Assignment], tuple[str, ...]]:
    """Check every name and shape; nothing is read."""
    assignments, allowed, absent, problems = [], [], [], []
    for variable, row in variables:
        stored = match.names.get(row.tensor)
        problem = stored and _shape_problem(reader, variable, row, stored, edit, resize)
        if stored and not problem:
            assignments.append(Assignment(variable, row, stored))
        elif matches(ignore, row.weight, row.tensor, stored):
            allowed.append(row.weight)
        elif stored:
            problems.append(problem)
        else:
            absent.append(f"`{row.weight}` (as `{row.tensor}`)")
    if absent:
        text = f"{len(absent)} weights are missing: {'; '.join(absent[:5])}"
        if match.unexpected:
            text += f". Not known instead: {some(match.unexpected)}"
        problems.append(f"{text}. {guess_family(reader.names)}")
    if problems:
        raise CheckpointError(
            f"{reader.source} does not fit the model. {'. '.join(problems[:5])}. "
            'Weights that may keep their initial values go into ignore=["..."].'
        )
    return assignments, tuple(allowed)


def _shape_problem(
    reader: CheckpointReader,
    variable: Any,
    row: WeightMap,
    stored: str,
    edit: VocabularyEdit,
    resize: bool,
) -> str | None:
    """Why a tensor cannot fill a weight, or None."""
    if dtype_of(variable) not in FLOATS:
        return f"`{row.weight}` is {dtype_of(variable)}: load before quantizing"
    theirs, ours = tuple(reader.shape(stored)), tuple(variable.shape)
    try:
        shape = row.transform.shape(theirs)
    except ValueError as error:
        return f"{row_label(row, stored)}: {error}"
    if row.per_token and shape:
        shape = (edit.rows(shape[0]), *shape[1:])
    # Rows of a vocabulary are tokens: another number of them is another vocabulary.
    fits = resize and len(shape) == len(ours) and not (row.per_token and shape[0] != ours[0])
    if shape == ours or fits:
        return None
    how = "" if shape == theirs else f" (that is {shape} for us)"
    text = f"{row_label(row, stored)}: the model has {ours}, the checkpoint {theirs}{how}"
    if row.per_token and shape[1:] == ours[1:]:
        text += f". Set vocab_size={shape[0]}, or choose rows with keep_tokens"
    return text


def dtype_of(variable: Any) -> str:
    return getattr(variable.dtype, "name", str(variable.dtype))

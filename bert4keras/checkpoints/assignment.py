"""Assignment of a checkpoint's tensors to the weights of a model: the second step of loading.

Names and shapes are compared here and no tensor is read. So `load` changes a model only if every
weight fits, and `check_sizes` compares the same way before the model is built, from the paths and
shapes that its weights will have: a config with the wrong sizes is an error at once, not after
minutes, or no memory, spent on building it. Both go through `assign_tensors`, so a checkpoint that
passes the one check passes the other.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..registry import all_tables
from .errors import CheckpointError
from .readers import CheckpointReader
from .table import WeightMap, WeightTable
from .tensor_match import (
    TensorMatch,
    first_names,
    guess_family,
    match_tensors,
    matches,
    row_label,
)
from .vocabulary_edit import VocabularyEdit

if TYPE_CHECKING:
    import keras

FLOATS = ("float64", "float32", "float16", "bfloat16")
_ANCHOR = "Embedding-Token"  # a layer that every family has


@dataclasses.dataclass(frozen=True)
class Assignment:
    """A weight to fill.

    Attributes:
        variable: the variable; a `WeightSpec` if the model is not built.
        row: its row of the table.
        stored: name of the tensor that fills it.
    """

    variable: keras.Variable | WeightSpec
    row: WeightMap
    stored: str


@dataclasses.dataclass(frozen=True)
class WeightSpec:
    """Path, shape and dtype of a weight of a model that is not built yet."""

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
    """Compare the sizes of a config with a checkpoint, before the model is built.

    Args:
        reader: an open checkpoint; only names and shapes are used.
        weights: some of the weights that the model will have.
        depths: config option -> (beginning of the weight paths of a block, number of blocks):
            `{"num_hidden_layers": ("Transformer-{i}-", 12)}`.
        tables, ignore, resize: as for `load`.
        edit: change of the vocabulary; None keeps it.

    Raises:
        CheckpointError: `load` would raise it too.
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
    """Refuse more blocks than the checkpoint has, unless `ignore` covers their weights."""
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
        f'blocks may keep their initial values, pass ignore=["{template.format(i="*")}*"].'
    )


def prefix_of(model: keras.Model) -> str:
    """Return the `prefix` of a model's layer names, see `build_transformer_model`.

    Returns:
        The prefix; "" for a model with several encoders.
    """
    parts = {part for variable in model.weights for part in variable.path.split("/")}
    found = {part.removesuffix(_ANCHOR) for part in parts if part.endswith(_ANCHOR)}
    return found.pop() if len(found) == 1 else ""


def known_weights(
    model: keras.Model, table: WeightTable
) -> tuple[list[tuple[keras.Variable, WeightMap]], tuple[str, ...]]:
    """Return (variable, row) of the model's weights, and the paths of weights without a row."""
    prefix = prefix_of(model)
    known: dict[str, tuple[keras.Variable, WeightMap]] = {}
    unknown = []
    for variable in {id(v): v for v in model.weights}.values():  # shared layers appear once
        row = table.of_weight(variable.path, prefix)
        if row is None:
            unknown.append(variable.path)
        elif row.weight in known:
            raise CheckpointError(
                f"the model has two weights `{row.weight}`: `{known[row.weight][0].path}` and "
                f"`{variable.path}`. Load or save its encoders one by one."
            )
        else:
            known[row.weight] = variable, row
    if not known:
        found = first_names(unknown) if unknown else "none; build it first"
        raise CheckpointError(
            f"the model has no weight that {table.name} knows (such as `{table.rows[0].weight}`); "
            f"its weights: {found}."
        )
    return list(known.values()), tuple(unknown)


def assign_tensors(
    reader: CheckpointReader,
    match: TensorMatch,
    variables: Sequence[tuple[keras.Variable | WeightSpec, WeightMap]],
    edit: VocabularyEdit,
    ignore: tuple[str, ...],
    resize: bool,
) -> tuple[list[Assignment], tuple[str, ...]]:
    """Find the tensor of every weight and compare the shapes; no tensor is read.

    Args:
        reader: an open checkpoint.
        match: its tensors.
        variables: (weight, row) of the weights to fill.
        edit, ignore, resize: as for `check_sizes`.

    Returns:
        The assignments, and the paths of weights that `ignore` allows to keep their values.

    Raises:
        CheckpointError: weights that are missing or have another shape; names up to five.
    """
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
            text += f". Not known instead: {first_names(match.unexpected)}"
        problems.append(f"{text}. {guess_family(reader.names)}")
    if problems:
        raise CheckpointError(
            f"{reader.source} does not fit the model. {'. '.join(problems[:5])}. "
            'For weights that may keep their initial values pass ignore=["..."].'
        )
    return assignments, tuple(allowed)


def _shape_problem(
    reader: CheckpointReader,
    variable: keras.Variable | WeightSpec,
    row: WeightMap,
    stored: str,
    edit: VocabularyEdit,
    resize: bool,
) -> str | None:
    """Return the reason why a tensor cannot fill a weight, or None."""
    if dtype_of(variable) not in FLOATS:
        return f"`{row.weight}` is {dtype_of(variable)}: load before quantizing"
    stored_shape, wanted = tuple(reader.shape(stored)), tuple(variable.shape)
    try:
        shape = row.transform.shape(stored_shape)
    except ValueError as error:
        return f"{row_label(row, stored)}: {error}"
    if row.per_token and shape:
        shape = (edit.new_size(shape[0]), *shape[1:])
    # The rows of a vocabulary are tokens, so it is never resized: that would be another vocabulary.
    fits = resize and len(shape) == len(wanted) and not (row.per_token and shape[0] != wanted[0])
    if shape == wanted or fits:
        return None
    text = f"{row_label(row, stored)}: the model has {wanted}, the checkpoint {stored_shape}"
    if shape != stored_shape:
        text += f" (that is {shape} in the layout of the model)"
    if row.per_token and shape[1:] == wanted[1:]:
        text += f". Set vocab_size={shape[0]}, or choose rows with keep_tokens"
    return text


def dtype_of(variable: keras.Variable | WeightSpec) -> str:
    """Return the name of a variable's dtype, on any backend."""
    return getattr(variable.dtype, "name", str(variable.dtype))

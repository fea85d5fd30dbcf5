"""Convert a checkpoint to another format without building a model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert4keras.checkpoints.errors import CheckpointError
from bert4keras.checkpoints.inventory import Inventory, row_label, take_inventory
from bert4keras.checkpoints.readers import Reader, open_checkpoint
from bert4keras.checkpoints.table import Table, Transform, fuse
from bert4keras.checkpoints.tables import TABLES
from bert4keras.checkpoints.transfer import LAYOUTS, progress_bar, write_checkpoint
from bert4keras.checkpoints.writers import replacing

CONFIGS = ("config.json", "bert_config.json")
TOKENIZER_FILES = {
    "huggingface": (
        "vocab.txt",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ),
    "google": ("vocab.txt",),
}


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes:
        files: written.
        tensors: stored name in the source -> canonical name in the destination's table.
        ignored: tensors that are no weights, left out -> why.
        unexpected: tensors that no table knows, left out.
    """

    files: tuple[Path, ...]
    tensors: Mapping[str, str]
    ignored: Mapping[str, str]
    unexpected: tuple[str, ...]


def convert(
    source: Any,
    destination: str | Path,
    format: str,
    *,
    overwrite: bool = False,
    progress: bool = True,
) -> Conversion:
    """Write a checkpoint in another format; config and vocabulary beside it come along.

    The tensors are read one at a time and are all in memory when the result is written.

    Args:
        source: see `open_checkpoint`.
        destination: a directory, or a file as for `save`.
        format: `"google"` or `"huggingface"`.
        overwrite: allow a destination that exists.
        progress: show a bar.

    Returns:
        A `Conversion`, which names everything that was left out.

    Raises:
        CheckpointError: an unreadable source, an unknown format, an existing destination.
    """
    if format not in LAYOUTS:
        raise CheckpointError(f"unknown format {format!r}; known are {', '.join(sorted(LAYOUTS))}")
    destination = Path(destination)
    explicit = destination.suffix == LAYOUTS[format][0]
    folder = destination.parent if explicit else destination
    _refuse_existing(destination, explicit, overwrite)
    with open_checkpoint(source) as reader:
        family, inventory = _family(reader)
        target = next((t for t in TABLES[family] if t.format == format), None)
        if target is None:
            raise CheckpointError(f"the family {family!r} has no table for format {format!r}")
        tensors, origin = _translate(reader, inventory, target, progress)
    beside = _directory_of(source)
    config = _config(beside, family, format, tensors)
    files = write_checkpoint(destination, target, tensors, config)
    files += _copy(beside, folder, TOKENIZER_FILES[format])
    return Conversion(tuple(files), origin, inventory.ignored, inventory.unexpected)


def _refuse_existing(destination: Path, explicit: bool, overwrite: bool) -> None:
    if overwrite:
        return
    if explicit:
        paths = (destination, destination.with_name(destination.name + ".index"))
        taken = next((path for path in paths if path.exists()), None)
    else:
        filled = destination.exists() and (not destination.is_dir() or any(destination.iterdir()))
        taken = destination if filled else None
    if taken:
        raise CheckpointError(f"{taken} exists; pass --force (overwrite=True) to replace it")


def _family(reader: Reader) -> tuple[str, Inventory]:
    """The family whose tables know most tensors of the checkpoint."""
    tables = {table: family for family, group in TABLES.items() for table in group}
    inventory = take_inventory(reader, tuple(tables))
    return tables[inventory.table], inventory


def _translate(
    reader: Reader, inventory: Inventory, target: Table, progress: bool
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Every known tensor under the names and in the layout of another table."""
    pieces: dict[str, list[tuple[Transform, np.ndarray]]] = {}
    origin = {}
    for canonical, stored in progress_bar(list(inventory.names.items()), "converting", progress):
        array = reader.read(stored)
        for row in inventory.table.of_tensor(canonical):
            theirs = target.of_weight(row.weight)
            if theirs is None:
                raise CheckpointError(f"{target.name} has no name for {row_label(row, stored)}")
            try:
                weight = row.transform.forward(array)
            except ValueError as error:
                raise CheckpointError(
                    f"{reader.source}: {row_label(row, stored)}: {error}"
                ) from error
            pieces.setdefault(theirs.tensor, []).append((theirs.transform, weight))
            origin[stored] = theirs.tensor
    return {name: fuse(name, parts) for name, parts in pieces.items()}, origin


def _directory_of(source: Any) -> Path | None:
    if isinstance(source, Mapping | Reader):
        return None
    path = Path(source)
    return path if path.is_dir() else path.parent


def _config(
    directory: Path | None, family: str, format: str, tensors: Iterable[str]
) -> dict | None:
    """The config beside the source, under the keys that both formats share."""
    path = next((p for name in CONFIGS if directory and (p := directory / name).is_file()), None)
    if path is None:
        return None
    try:
        values = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is not a json object: {error}") from error
    if format == "huggingface":
        values.setdefault("model_type", family)
        if family == "bert":
            values.setdefault("architectures", [_bert_class(tensors)])
    return values


def _bert_class(tensors: Iterable[str]) -> str:
    """The class that transformers builds for these tensors."""
    heads = {name.split(".")[1] for name in tensors if name.startswith("cls.")}
    if "seq_relationship" in heads:
        return "BertForPreTraining"
    return "BertForMaskedLM" if heads else "BertModel"


def _copy(source: Path | None, destination: Path, names: Sequence[str]) -> list[Path]:
    found = [source / name for name in names if source and (source / name).is_file()]
    if source is None or source.resolve() == destination.resolve() or not found:
        return []
    with replacing(destination) as staging:
        for path in found:
            shutil.copyfile(path, staging / path.name)
    return [destination / path.name for path in found]

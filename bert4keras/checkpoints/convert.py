"""Conversion of checkpoints to another format, without a model."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .._json import read_json
from ..registry import TABLES
from .directories import copy_modules, find_config, model_directory
from .errors import CheckpointError
from .hub import TOKENIZER_PATTERNS
from .lazy_tensor import LazyTensor, fuse_lazily
from .presets import local_path
from .pruning import KeepTokens, pruned_vocabulary
from .readers import CheckpointReader, CheckpointSource, open_checkpoint
from .table import WeightMap, WeightTable
from .tensor_match import TensorMatch, match_tensors, row_label
from .tensor_transform import TensorTransform
from .transfer import CHECKPOINT_FILES, table_for, write_checkpoint
from .vocabulary_edit import VocabularyEdit

_TOKENIZER_FILES = {
    "huggingface": TOKENIZER_PATTERNS,
    "google": ("vocab.*", "merges.txt", "*.model"),
}


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The result of `convert`.

    Attributes:
        files: the files written.
        tensors: stored name in the source -> canonical name in the destination's table.
        ignored: tensors left out because they are no weights -> reason.
        unexpected: tensors left out because no table knows them.
    """

    files: tuple[Path, ...]
    tensors: Mapping[str, str]
    ignored: Mapping[str, str]
    unexpected: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"wrote {path}" for path in self.files]
        lines += [f"{len(self.tensors)} tensors converted"]
        lines += [f"left out: {name} ({reason})" for name, reason in self.ignored.items()]
        lines += [f"left out: {name} (UNKNOWN to every table)" for name in self.unexpected]
        return "\n".join(lines)


def convert(
    source: CheckpointSource,
    destination: str | Path,
    format: str,
    *,
    overwrite: bool = False,
    progress: bool = True,
    max_shard_size: int | str | None = None,
    keep_tokens: KeepTokens | None = None,
) -> Conversion:
    """Write a checkpoint in another format, with the config and vocabulary beside it.

    The modules of sentence-transformers, such as the pooling, go with a Hugging Face directory.

    One tensor at a time is in memory; for TensorFlow, the tensors of one data file.

    Args:
        source: see `open_checkpoint`.
        destination: a directory, or a file as for `save`.
        format: `"google"` or `"huggingface"`.
        overwrite: replace an existing destination; False makes it an error.
        progress: show a progress bar.
        max_shard_size: largest size of a file of tensors, in bytes or as text such as `"2GB"`;
            None means one safetensors file, or TensorFlow data files of 1 GB.
        keep_tokens: tokens of a smaller vocabulary: their ids, or a function that returns them for
            the tokenizer, such as `lambda tokenizer: used_tokens(tokenizer, texts)`. Tokenizer,
            config and the rows of all tensors of tokens are changed together, and tokens that the
            tokenizer cannot do without are added. None keeps all.

    Returns:
        A `Conversion`, which lists everything that was left out.

    Raises:
        CheckpointError: an unreadable source, an unknown format, an existing destination.
        TokenizerError: `keep_tokens` for a source whose tokenizer cannot be read.
    """
    if format not in CHECKPOINT_FILES:
        known = ", ".join(sorted(CHECKPOINT_FILES))
        raise CheckpointError(f"unknown format {format!r}; known formats: {known}.")
    shard_size = _bytes(max_shard_size)
    destination = Path(destination)
    explicit = destination.suffix == CHECKPOINT_FILES[format][0]
    folder = destination.parent if explicit else destination
    if not overwrite:
        _refuse_existing(destination, explicit)
    if isinstance(source, str | os.PathLike):
        source = local_path(source)
    beside = _directory_of(source)
    config = _read_config(beside)
    with contextlib.ExitStack() as stack:
        edit, vocabulary = VocabularyEdit.of(), beside
        if keep_tokens is not None:
            vocabulary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            edit = pruned_vocabulary(_place_of_tokenizer(beside, folder), keep_tokens, vocabulary)
            config = edit.new_config(config)
        reader = stack.enter_context(open_checkpoint(source))
        family, match = _match_family(reader, config)
        rows = (row for name in match.names for row in match.table.of_tensor(name))
        target = table_for(format, TABLES[family], [row.weight for row in rows])
        tensors, origin = _translate(reader, match, target, edit)
        config = _adapted(config, family, format, tensors)
        tokenizer = _files(vocabulary, folder, _TOKENIZER_FILES[format])
        bar = tqdm(
            total=len(tensors), desc="converting", unit="tensor", leave=False, disable=not progress
        )
        with bar:
            tensors = {name: _ticking(tensor, bar) for name, tensor in tensors.items()}
            files = write_checkpoint(destination, target, tensors, config, shard_size, tokenizer)
        if format == "huggingface" and isinstance(source, str | Path) and not explicit:
            files += copy_modules(Path(source), folder)
    return Conversion(tuple(files), origin, match.ignored, match.unexpected)


def _refuse_existing(destination: Path, explicit: bool) -> None:
    """Refuse a destination that would be replaced: an explicit file, or a directory with files."""
    if explicit:
        paths = (destination, destination.with_name(destination.name + ".index"))
        taken = next((path for path in paths if path.exists()), None)
    else:
        filled = destination.exists() and (not destination.is_dir() or any(destination.iterdir()))
        taken = destination if filled else None
    if taken:
        raise CheckpointError(f"{taken} exists; pass --force (overwrite=True) to replace it")


def _match_family(reader: CheckpointReader, config: Mapping | None) -> tuple[str, TensorMatch]:
    """Return the family that the config names, or that whose tables know the most tensors."""
    named = (config or {}).get("model_type")
    candidates = {named: TABLES[named]} if isinstance(named, str) and named in TABLES else TABLES
    tables: dict[WeightTable, str] = {}
    for family, group in candidates.items():
        for table in group:
            tables.setdefault(table, family)  # families may share a table; the first is the base
    match = match_tensors(reader, tuple(tables))
    return tables[match.table], match


def _translate(
    reader: CheckpointReader, match: TensorMatch, target: WeightTable, edit: VocabularyEdit
) -> tuple[dict[str, LazyTensor], dict[str, str]]:
    """Return the tensors under the names and in the layout of another table, without their data.

    Also returns stored name -> new name.
    """
    pieces: dict[str, list[tuple[TensorTransform, LazyTensor]]] = {}
    origin = {}
    for canonical, stored in match.names.items():
        for row in match.table.of_tensor(canonical):
            new_row = target.of_weight(row.weight)
            if new_row is None:
                raise CheckpointError(f"{target.name} has no name for {row_label(row, stored)}")
            weight = _weight(reader, row, stored, edit)
            pieces.setdefault(new_row.tensor, []).append((new_row.transform, weight))
            origin[stored] = new_row.tensor
    return {name: fuse_lazily(name, parts) for name, parts in pieces.items()}, origin


def _weight(
    reader: CheckpointReader, row: WeightMap, stored: str, edit: VocabularyEdit
) -> LazyTensor:
    """Return the weight of a row from its stored tensor, with the kept tokens only."""
    tensor = LazyTensor(reader.shape(stored), reader.dtype(stored), lambda: reader.read(stored))
    try:
        weight = tensor.through(row.transform.forward)
        if not row.per_token or not edit:
            return weight
        edit.new_size(weight.shape[0])
        return weight.through(edit.apply)
    except ValueError as error:
        raise CheckpointError(f"{reader.source}: {row_label(row, stored)}: {error}") from error


def _ticking(tensor: LazyTensor, bar: tqdm) -> LazyTensor:
    """Return the tensor with a function that also advances the progress bar."""

    def make() -> np.ndarray:
        bar.update()
        return tensor.make()

    return dataclasses.replace(tensor, make=make)


def _bytes(size: int | str | None) -> int | None:
    """Return a size such as `"2GB"` or `"500MiB"` in bytes."""
    if size is None or isinstance(size, int):
        return size
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", size.strip(), re.IGNORECASE)
    if not found:
        raise CheckpointError(f"{size!r} is no size; write it as 500MB or 2GiB.")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index(unit.upper() or " "))


def _directory_of(source: CheckpointSource) -> Path | None:
    """Return the directory of the files beside a checkpoint; None for arrays in memory."""
    if isinstance(source, Mapping | CheckpointReader):
        return None
    path = Path(source)
    return model_directory(path) if path.is_dir() else path.parent


def _read_config(directory: Path | None) -> dict | None:
    """Return the config beside the source, or None."""
    path = find_config(directory) if directory else None
    return None if path is None else read_json(path, CheckpointError)


def _adapted(values: dict | None, family: str, format: str, tensors: Iterable[str]) -> dict | None:
    """Return the config for another format, which needs the same keys and the names of classes."""
    if values is not None and format == "huggingface":
        values.setdefault("model_type", family)
        if family == "bert":
            values.setdefault("architectures", [_bert_class(tensors)])
    return values


def _bert_class(tensors: Iterable[str]) -> str:
    """Return the class of transformers that has these tensors."""
    heads = {name.split(".")[1] for name in tensors if name.startswith("cls.")}
    if "seq_relationship" in heads:
        return "BertForPreTraining"
    return "BertForMaskedLM" if heads else "BertModel"


def _place_of_tokenizer(beside: Path | None, destination: Path) -> Path:
    """Return the directory of the tokenizer to prune."""
    if beside is None:
        raise CheckpointError(
            "keep_tokens needs a checkpoint on the disk, with its tokenizer beside it; these are "
            "arrays in memory."
        )
    if beside.resolve() == destination.resolve():
        raise CheckpointError(
            f"keep_tokens needs another destination than {beside}, whose other files belong to "
            "the whole vocabulary."
        )
    return beside


def _files(source: Path | None, destination: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the files beside the source to copy; none if source and destination are the same."""
    if source is None or source.resolve() == destination.resolve():
        return []
    found = {path for pattern in patterns for path in source.glob(pattern) if path.is_file()}
    return sorted(found)

"""Matching of a checkpoint's tensors with the tables: the first of two steps of loading.

Every stored name becomes one of these: a weight (under its canonical name), ignored (with a
reason), a copy of a tied weight, or unexpected. Two invariants: no two stored names have the same
canonical name; and a tied tensor may be stored under either of its names, so a copy takes the place
of a missing original. The second step, `assignment`, fits the tensors to the weights of a model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from ..registry import TABLES
from .errors import CheckpointError
from .readers import CheckpointReader
from .table import LONGEST_NAME, Ignored, WeightMap, WeightTable

_MOST_SHOWN = 5
_ADAPTERS = ("lora_", "ia3_", "hada_w", "lokr_w", "vera_lambda", "oft_r", "modules_to_save")


@dataclasses.dataclass(frozen=True)
class TensorMatch:
    """The tensors of a checkpoint, grouped by their entries in a table.

    Attributes:
        table: the table that knows the most tensors.
        names: canonical name -> stored name, for tensors that are weights.
        ignored: stored name -> reason, for tensors that are no weights.
        copies: stored name -> entry of the table, for second copies of tied tensors.
        unexpected: stored names that the table does not know.
    """

    table: WeightTable
    names: Mapping[str, str]
    ignored: Mapping[str, str]
    copies: Mapping[str, Ignored]
    unexpected: tuple[str, ...]


def match_tensors(reader: CheckpointReader, tables: Sequence[WeightTable]) -> TensorMatch:
    """Choose the table that knows the most tensors of a checkpoint, and match them with it.

    Args:
        reader: an open checkpoint.
        tables: candidates.

    Returns:
        The `TensorMatch` of the chosen table.

    Raises:
        CheckpointError: no table knows any tensor, two tensors have the same canonical name, or
            there is an adapter that is not merged.
    """
    adapters = [name for name in reader.names if _is_adapter(name)]
    if adapters:
        raise CheckpointError(
            f"{reader.source} holds an adapter of PEFT that is not merged into the weights: "
            f"{first_names(adapters)}. Without it the model computes something else. Merge it "
            "where PEFT is installed: PeftModel.from_pretrained(model, ...).merge_and_unload(), "
            "then save. Or pass a dict without these tensors."
        )
    candidates = [_match(reader, table) for table in tables]
    best = max(candidates, key=lambda match: len(match.names), default=None)
    if best is None or not best.names:
        known = "; ".join(f"{t.name}: `{t.rows[0].tensor}`" for t in tables[:_MOST_SHOWN])
        raise CheckpointError(
            f"{reader.source} holds {first_names(reader.names)}, which no table knows ({known}). "
            f"{guess_family(reader.names)}."
        )
    return best


def _is_adapter(name: str) -> bool:
    """Return whether a tensor belongs to an adapter of PEFT, such as LoRA."""
    parts = name.replace("/", ".").split(".")
    return any(part.startswith(_ADAPTERS) for part in parts)


def guess_family(names: Iterable[str]) -> str:
    """Return a clause, for messages, on the families whose tables know the most of some names.

    Args:
        names: tensor names of a checkpoint.
    """
    names = list(names)
    scores = {}
    for family, tables in TABLES.items():
        # Canonical names decide between families whose tables differ only by a prefix.
        counts = (
            (
                sum(table.canonical(name) is not None for name in names),
                sum(bool(table.of_tensor(name)) for name in names),
            )
            for table in tables
        )
        scores[family] = max(counts, default=(0, 0))
    best = max(scores.values(), default=(0, 0))
    if not best[0]:
        return f"The names look like none of the registered families: {', '.join(sorted(TABLES))}"
    likely = " or ".join(family for family, score in scores.items() if score == best)
    return f"The names look like {likely}: {best[0]} of {len(names)} are known there"


def _match(reader: CheckpointReader, table: WeightTable) -> TensorMatch:
    """Match the tensors of a checkpoint with one table."""
    names: dict[str, str] = {}
    ignored: dict[str, str] = {}
    copies: dict[str, Ignored] = {}
    unexpected: list[str] = []
    for stored in reader.names:
        canonical = table.canonical(stored)
        entry = table.ignored_as(canonical) if canonical else None
        if canonical is None:
            unexpected.append(stored)
        elif entry and not table.of_tensor(canonical):
            ignored[stored] = entry.reason
            if entry.copy_of:
                copies[stored] = entry
        elif canonical in names:
            raise CheckpointError(
                f"{reader.source}: `{names[canonical]}` and `{stored}` both mean `{canonical}`. "
                "Pass a dict with only one of them."
            )
        else:
            names[canonical] = stored
    for stored, entry in list(copies.items()):  # of tied tensors, only the copy may be stored
        if entry.copy_of not in names:
            names[entry.copy_of] = stored
            del ignored[stored], copies[stored]
    return TensorMatch(table, names, ignored, copies, tuple(unexpected))


def first_names(names: Iterable[str]) -> str:
    """Return the first few of many names, for a message."""
    names = list(names)
    text = ", ".join(f"`{name:.{LONGEST_NAME}}`" for name in names[:_MOST_SHOWN])
    return text + (f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else "")


def matches(patterns: Iterable[str], *names: str | None) -> bool:
    """Return whether any fnmatch pattern covers any of the names of one weight."""
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names if name)


def row_label(row: WeightMap, stored: str | None = None) -> str:
    """Return the path of a weight and the name of its tensor, for messages."""
    return f"`{row.weight}` from `{stored or row.tensor}`"

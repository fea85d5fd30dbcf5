"""Which table fits a checkpoint, and what each of its tensors is in that table."""

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
    """The tensors of a checkpoint, sorted by what the table says of them.

    Attributes:
        table: the table that knows most of the names.
        names: canonical name -> stored name, of tensors that are weights.
        ignored: stored name -> reason, of tensors that are none.
        copies: stored name -> its entry in the table, of tied tensors.
        unexpected: stored names that the table does not know.
    """

    table: WeightTable
    names: Mapping[str, str]
    ignored: Mapping[str, str]
    copies: Mapping[str, Ignored]
    unexpected: tuple[str, ...]


def match_tensors(reader: CheckpointReader, tables: Sequence[WeightTable]) -> TensorMatch:
    """Choose the table by the names in the checkpoint, and sort these names.

    Args:
        reader: an open checkpoint.
        tables: candidates, one for every format.

    Returns:
        The `TensorMatch` under the table that knows most tensors.

    Raises:
        CheckpointError: no table knows any tensor, two tensors are the same one, or some belong to
            an adapter that changes the others.
    """
    adapters = [name for name in reader.names if _is_adapter(name)]
    if adapters:
        raise CheckpointError(
            f"{reader.source} holds an adapter of PEFT that is not merged into the weights: "
            f"{some(adapters)}. Without it the model computes something else. Merge it where PEFT "
            "is installed: PeftModel.from_pretrained(model, ...).merge_and_unload(), then save. Or "
            "pass a dict without these tensors."
        )
    sorted_by = [_sort(reader, table) for table in tables]
    best = max(sorted_by, key=lambda match: len(match.names), default=None)
    if best is None or not best.names:
        known = "; ".join(f"{t.name}: `{t.rows[0].tensor}`" for t in tables[:_MOST_SHOWN])
        raise CheckpointError(
            f"{reader.source} holds {some(reader.names)}, which no table knows ({known}). "
            f"{guess_family(reader.names)}."
        )
    return best


def _is_adapter(name: str) -> bool:
    """Whether a tensor belongs to an adapter of PEFT (LoRA and its relatives)."""
    parts = name.replace("/", ".").split(".")
    return any(part.startswith(_ADAPTERS) for part in parts)


def guess_family(names: Iterable[str]) -> str:
    """A clause, for messages, on the registered families whose tables know most of the names.

    Args:
        names: of the tensors of a checkpoint.
    """
    names = list(names)
    scores = {}
    for family, tables in TABLES.items():
        # Names in the very spelling of a table decide between families that differ by a prefix.
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


def _sort(reader: CheckpointReader, table: WeightTable) -> TensorMatch:
    names, ignored, copies, unexpected = {}, {}, {}, []
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
                "Pass a dict with the one that is wanted."
            )
        else:
            names[canonical] = stored
    for stored, entry in list(copies.items()):  # exports keep either name of tied tensors
        if entry.copy_of not in names:
            names[entry.copy_of] = stored
            del ignored[stored], copies[stored]
    return TensorMatch(table, names, ignored, copies, tuple(unexpected))


def some(names: Iterable[str]) -> str:
    """The first few of many names, for a message."""
    names = list(names)
    shown = ", ".join(f"`{name:.{LONGEST_NAME}}`" for name in names[:_MOST_SHOWN])
    return shown + (f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else "")


def matches(patterns: Iterable[str], *names: str | None) -> bool:
    """Whether any fnmatch pattern covers any of the names of one weight."""
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names if name)


def row_label(row: WeightMap, stored: str | None = None) -> str:
    """How messages name a weight: ours, and theirs."""
    return f"`{row.weight}` from `{stored or row.tensor}`"

"""The tables of every family, by family name."""

from __future__ import annotations

from collections.abc import Iterable

from bert4keras.checkpoints.table import Table
from bert4keras.checkpoints.tables import bert

TABLES: dict[str, tuple[Table, ...]] = {}


def register_tables(family: str, tables: Iterable[Table]) -> None:
    """Make tables known to `load`, `save` and `convert` when none are passed.

    Args:
        family: `model_type` of the family; registering it again replaces its tables.
        tables: one `Table` for every checkpoint format.
    """
    TABLES[family] = tuple(tables)


def all_tables() -> tuple[Table, ...]:
    """Every registered table, in the order of registration."""
    return tuple(dict.fromkeys(table for tables in TABLES.values() for table in tables))


register_tables("bert", bert.TABLES)

"""Running queries in SQLite, and choosing a query by what it returns.

Source: Wang et al., Robust Text-to-SQL Generation with Execution-Guided Decoding, 2018
(arXiv:1807.03100).
"""

from __future__ import annotations

import contextlib
import itertools
import math
import sqlite3
from collections.abc import Iterable
from typing import Any

from .sql import SQL, Table, column_names, number_of, quoted


def statement(sql: SQL, table: Table) -> tuple[str, list]:
    """The statement of a query with a ? for each value, and the values."""
    names, name = column_names(table.header), quoted(table.name.replace("\0", ""))
    for column in (*sql.sel, *(cond.column for cond in sql.conds)):
        if not 0 <= column < len(names):
            raise ValueError(f"Table {table.name!r} has no column {column}, but {len(names)}.")
    asked = ", ".join(f"{a}({names[c]})" if a else names[c] for c, a in sql.selected)
    joint = f" {(sql.conn or 'and').upper()} "
    where = joint.join(f"{names[cond.column]} {cond.operator} ?" for cond in sql.conds)
    values = [_stored(cond.value, table.types[cond.column]) for cond in sql.conds]
    return f"SELECT {asked} FROM {name}" + (f" WHERE {where}" if where else ""), values


class Database:
    """A table in SQLite, in memory, to run queries on; a context manager.

    Texts are compared without regard to the case of A-Z, cells of a column of numbers as
    numbers. Empty cells are NULL.

    Args:
        table: with or without rows.

    Example:
        >>> table = Table(("city", "population"), (("Lisbon", 545), ("Porto", 232)))
        >>> with Database(table) as database:
        ...     database.execute(SQL((0,), ("",), [(1, ">", "300")]))
        [('Lisbon',)]
    """

    def __init__(self, table: Table):
        self.table = table
        self._connection = sqlite3.connect(":memory:")
        kinds = {"real": "REAL", "text": "TEXT COLLATE NOCASE"}
        columns = [
            f"{name} {kinds[kind]}"
            for name, kind in zip(column_names(table.header), table.types, strict=True)
        ]
        name = quoted(table.name.replace("\0", ""))
        self._connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        marks = ", ".join("?" * len(columns))
        self._connection.executemany(
            f"INSERT INTO {name} VALUES ({marks})",
            [
                [_stored(cell, kind) for cell, kind in zip(row, table.types, strict=True)]
                for row in table.rows
            ],
        )

    def execute(self, sql: SQL) -> list[tuple]:
        """The rows that a query returns.

        Raises:
            ValueError: it has a column that the table lacks.
            sqlite3.Error: SQLite refuses it.
        """
        return self._connection.execute(*statement(sql, self.table)).fetchall()

    def close(self) -> None:
        """Forget the table."""
        self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def execute(sql: SQL, table: Table) -> list[tuple]:
    """The rows that a query returns on a table; for many queries keep a `Database`."""
    with Database(table) as database:
        return database.execute(sql)


def execution_guided(
    candidates: Iterable[SQL], database: Database, most: int = 16
) -> tuple[SQL, list[tuple] | None]:
    """The first query that makes sense, runs and returns something.

    AVG and SUM of texts, and > and < between texts, make no sense, although SQLite allows them.

    Args:
        candidates: queries, the best first, such as `sql_candidates`; at least one.
        most: how many are tried.

    Returns:
        The query and what it returns; if all are dropped, the first query and None.

    Raises:
        ValueError: there is no candidate.
    """
    first = None
    for sql in itertools.islice(candidates, most):
        first = first or sql
        with contextlib.suppress(sqlite3.Error, ValueError):
            if _sensible(sql, database.table) and _says_something(
                sql, rows := database.execute(sql)
            ):
                return sql, rows
    if first is None:
        raise ValueError("There is no candidate to choose from.")
    return first, None


def _stored(value: Any, kind: str) -> Any:
    """What SQLite gets for a cell or a value: a number in a column of numbers, if it is one."""
    if value is None or not str(value).strip():
        return None
    if kind == "text":
        return str(value)
    number = number_of(value)
    return str(value) if number is None or not math.isfinite(float(number)) else float(number)


def _sensible(sql: SQL, table: Table) -> bool:
    numeric = [c for c, aggregate in sql.selected if aggregate in ("AVG", "SUM")]
    numeric += [cond.column for cond in sql.conds if cond.operator in "><"]
    return all(table.types[c] == "real" for c in numeric)


def _says_something(sql: SQL, rows: list[tuple]) -> bool:
    """Whether a row matched: aggregates of no rows are NULL, and 0 for COUNT."""
    nothing = [(None, 0) if aggregate == "COUNT" else (None,) for _, aggregate in sql.selected]
    return any(cell not in none for row in rows for cell, none in zip(row, nothing, strict=True))

"""Running queries in SQLite, and choosing a query by what it returns.

Source: Wang et al., Robust Text-to-SQL Generation with Execution-Guided Decoding, 2018
(arXiv:1807.03100).
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterable
from typing import Any

from .numbers import read_number
from .query import SQL, Condition, Table, column_names, is_empty, quoted


def statement(sql: SQL, table: Table) -> tuple[str, list]:
    """Return the statement of a query with a ? for each value, and the values.

    It runs in a `Database`, which has the function `number`: `read_number`.
    """
    names = column_names(table.header)
    for column in (*sql.sel, *(cond.column for cond in sql.conds)):
        if not 0 <= column < len(names):
            raise ValueError(f"Table {table.name!r} has no column {column}, but {len(names)}.")
    asked = ", ".join(_asked(names[c], a, table.types[c]) for c, a in sql.selected)
    joint = f" {(sql.conn or 'and').upper()} "
    conds = [_compared(names[c.column], c, table.types[c.column]) for c in sql.conds]
    where = f" WHERE {joint.join(text for text, _ in conds)}" if conds else ""
    return f"SELECT {asked} FROM {_table_name(table)}{where}", [value for _, value in conds]


class Database:
    """A table in SQLite, in memory, to run queries on; a context manager.

    Texts are compared without regard to the case of A-Z. Empty cells and NaN are NULL. Cells and
    values are read as numbers by `read_number`.

    A cell of a column of numbers that is none ("N/A") has no part in MAX, MIN, AVG and SUM, and in
    comparisons with a number: it is not above, below or unequal to one, as NULL. It is selected and
    counted as it is written, and found by = and != with its own text. A value that is no number is
    neither above nor below anything in such a column: no row matches.

    In a column of texts AVG and SUM, and > and < with a number, take the cells that are numbers;
    everything else is as between texts.

    Args:
        table: with or without rows.

    Raises:
        ValueError: SQLite cannot hold the table (over 2000 columns, half of a surrogate pair).

    Example:
        >>> table = Table(("city", "population"), (("Lisbon", 545), ("Porto", 232)))
        >>> with Database(table) as database:
        ...     database.execute(SQL((0,), ("",), [(1, ">", "300")]))
        [('Lisbon',)]
    """

    def __init__(self, table: Table):
        self.table = table
        self._connection = sqlite3.connect(":memory:")
        self._connection.create_function("number", 1, _number, deterministic=True)
        # Without a type SQLite stores what it is given, and reads no numbers by itself.
        columns = [f"{name} COLLATE NOCASE" for name in column_names(table.header)]
        rows = [
            [_stored(cell, kind) for cell, kind in zip(row, table.types, strict=True)]
            for row in table.rows
        ]
        name, marks = _table_name(table), ", ".join("?" * len(columns))
        try:
            self._connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
            self._connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
        except (sqlite3.Error, UnicodeEncodeError) as error:
            self.close()
            raise ValueError(f"SQLite cannot hold table {table.name!r}: {error}.") from None

    def execute(self, sql: SQL) -> list[tuple]:
        """Return the rows that a query returns.

        Raises:
            ValueError: it has a column that the table lacks, or half of a surrogate pair.
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
    """Return the rows that a query returns on a table; for many queries keep a `Database`."""
    with Database(table) as database:
        return database.execute(sql)


def execution_guided(
    candidates: Iterable[SQL], database: Database, most: int = 16
) -> tuple[SQL, list[tuple] | None]:
    """Return the first query that makes sense, runs and returns something.

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


def _table_name(table: Table) -> str:
    name = str(table.name).replace("\0", "") or "table"
    # SQLite keeps such names for itself.
    return quoted(f"table {name}" if name.lower().startswith("sqlite_") else name)


def _asked(name: str, aggregate: str, kind: str) -> str:
    numeric = aggregate in ("AVG", "SUM") or (kind == "real" and aggregate in ("MAX", "MIN"))
    name = f"number({name})" if numeric else name
    return f"{aggregate}({name})" if aggregate else name


def _compared(name: str, cond: Condition, kind: str) -> tuple[str, Any]:
    """Return a condition with a ?, and the value."""
    value, number = _stored(cond.value, kind), read_number(cond.value)
    ordered = cond.operator in "><"
    if number is not None and (ordered or (kind == "real" and cond.operator == "!=")):
        return f"number({name}) {cond.operator} ?", number
    # Nothing is above or below NULL.
    return f"{name} {cond.operator} ?", None if ordered and kind == "real" else value


def _number(value: Any) -> float | None:
    """Run `read_number` for SQLite, whose numbers need no reading."""
    return value if isinstance(value, float) else read_number(value) if value else None


def _stored(value: Any, kind: str) -> Any:
    """Return the value of a cell for SQLite: a number if cell and column are numbers."""
    if is_empty(value):
        return None
    number = read_number(value) if kind == "real" else None
    return str(value) if number is None else number


def _sensible(sql: SQL, table: Table) -> bool:
    numeric = [c for c, aggregate in sql.selected if aggregate in ("AVG", "SUM")]
    numeric += [cond.column for cond in sql.conds if cond.operator in "><"]
    return all(table.types[c] == "real" for c in numeric)


def _says_something(sql: SQL, rows: list[tuple]) -> bool:
    """Tell whether a row matched: aggregates of no rows are NULL, and 0 for COUNT."""
    nothing = [(None, 0) if aggregate == "COUNT" else (None,) for _, aggregate in sql.selected]
    return any(cell not in none for row in rows for cell, none in zip(row, nothing, strict=True))

"""A query on one table, the table, and when two queries say the same.

The queries are those of WikiSQL and TableQA: columns, each with or without an aggregate, and
conditions that are joined by one connective. There is neither a join nor a subquery.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .numbers import number_text, plain_number, read_number

AGGREGATES = ("", "AVG", "MAX", "MIN", "COUNT", "SUM")
"""Functions of a selected column, by their number in data sets; the first is none."""
OPERATORS = (">", "<", "=", "!=")
"""Comparisons of a condition, by their number in data sets."""
CONNECTIVES = ("", "and", "or")
"""Words between conditions, by their number in data sets; the first is for one condition."""

# Spellings of an unknown cell.
_UNKNOWN = frozenset(
    "- -- --- – — —— / . .. … ? n/a na nan nil none null tbd unknown 不详 无 暂无 未知".split()
)
_CODE = re.compile(r"\s*0\d+\s*")


class Condition(NamedTuple):
    """`column operator value`: the index of a column, one of `OPERATORS`, and a text."""

    column: int
    operator: str
    value: str


@dataclass(frozen=True)
class SQL:
    """`SELECT agg(sel), ... WHERE conds[0] conn conds[1] ...`.

    Args:
        sel: indices of the selected columns, at least one. A column may occur more than once, with
            different aggregates.
        agg: the aggregate of each, of `AGGREGATES`; "" for none.
        conds: conditions, `Condition` or (column, operator, value).
        conn: connective of `CONNECTIVES`; it matters only with two or more conditions.

    Raises:
        ValueError: not as many aggregates as columns, no column, a column that is no whole number,
            a condition without a value, or an unknown word.
    """

    sel: tuple[int, ...]
    agg: tuple[str, ...]
    conds: tuple[Condition, ...] = ()
    conn: str = ""

    def __post_init__(self):
        object.__setattr__(self, "sel", tuple(_column(column) for column in self.sel))
        object.__setattr__(self, "agg", tuple(self.agg))
        conds = tuple(self.conds)
        if any(value is None for _, _, value in conds):
            raise ValueError(f"A condition needs a value, not None: {conds}.")
        conds = tuple(Condition(_column(c), op, str(value)) for c, op, value in conds)
        object.__setattr__(self, "conds", conds)
        if not self.sel or len(self.sel) != len(self.agg):
            raise ValueError(
                f"A query needs columns and an aggregate for each: {self.sel}, {self.agg}."
            )
        words = [(a, AGGREGATES) for a in self.agg] + [(c.operator, OPERATORS) for c in conds]
        for word, known in (*words, (self.conn, CONNECTIVES)):
            if word not in known:
                raise ValueError(f"{word!r} is not one of {known}.")

    @property
    def selected(self) -> tuple[tuple[int, str], ...]:
        """Pairs of column and aggregate."""
        return tuple(zip(self.sel, self.agg, strict=True))

    def logical_form(self) -> tuple:
        """Return a normal form of the query, equal for equivalent queries.

        Returns:
            (connective, set of (column, aggregate), set of conditions). Order does not matter,
            nor the connective of fewer than two conditions; of values `canonical_value` counts.
        """
        conds = frozenset((c.column, c.operator, canonical_value(c.value)) for c in self.conds)
        conn = (self.conn or "and") if len(self.conds) > 1 else ""
        return conn, frozenset(self.selected), conds

    def text(self, header: Sequence[str]) -> str:
        """Return the query as readable SQL; `execution.statement` gives the one that is run."""
        names = column_names(header)
        asked = ", ".join(f"{a}({names[c]})" if a else names[c] for c, a in self.selected)
        where = f" {self.conn or 'and'} ".upper().join(
            f"{names[c.column]} {c.operator} {quoted(c.value, mark=chr(39))}" for c in self.conds
        )
        return f"SELECT {asked}" + (f" WHERE {where}" if where else "")


@dataclass(frozen=True)
class Table:
    """A table of which at least the header is known.

    Args:
        header: names of the columns; they may be empty or occur twice.
        rows: cells; empty if only the header is known.
        types: "text" or "real" for each column; derived from the rows if not given. A column is
            real if its cells are numbers (`read_number`), except for empty and unknown ones ("N/A",
            "-", "暂无"); codes with a leading zero, such as 007, are text.
        name: name of the table, for messages and SQL.

    Raises:
        ValueError: no column, a row of another length, a row or a cell that is none, or an unknown
            type.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...] = ()
    types: tuple[str, ...] = ()
    name: str = "table"

    def __post_init__(self):
        rows = tuple(self.rows)
        for number, row in enumerate((self.header, *rows)):
            if isinstance(row, (str, bytes, dict)) or not hasattr(row, "__iter__"):
                where = f"row {number}" if number else "the header"
                raise ValueError(f"Table {self.name!r}: {where} is no sequence of cells: {row!r}.")
        header, rows = tuple(self.header), tuple(tuple(row) for row in rows)
        if not header:
            raise ValueError(f"Table {self.name!r} has no column.")
        for number, row in enumerate(rows, 1):
            where = f"Table {self.name!r}, row {number}"
            if len(row) != len(header):
                raise ValueError(f"{where}: {len(row)} cells for {len(header)} columns.")
            for cell in row:
                if isinstance(cell, (bytes, dict, list, set, tuple)):
                    raise ValueError(f"{where}: a cell is a text or a number, not {cell!r}.")
        types = tuple(self.types) or tuple(
            _type(row[c] for row in rows) for c in range(len(header))
        )
        if len(types) != len(header) or not set(types) <= {"text", "real"}:
            raise ValueError(
                f"Table {self.name!r} needs the type 'text' or 'real' of each of its "
                f"{len(header)} columns, not {types}."
            )
        for name, value in (("header", header), ("rows", rows), ("types", types)):
            object.__setattr__(self, name, value)


def canonical_value(value: Any) -> str:
    """Return a value in its form for comparison: full-width forms, case and blanks do not matter.

    Numbers count by their value, however written: 3, "3.0" and "１，０００" become "3", "3" and
    "1000"; those with a unit or a currency (`read_number`) stay as they are written.
    """
    text = str(value)
    # A character that becomes a digit, as in 10², would make another number.
    if not any(unicodedata.category(char) == "No" for char in text):
        text = unicodedata.normalize("NFKC", text)
    text = " ".join(text.lower().split())
    number = plain_number(text)
    return text if number is None else number_text(number)


def is_empty(cell: Any) -> bool:
    """Tell whether a cell is empty: None, blanks or NaN."""
    return cell is None or cell != cell or not str(cell).strip()


def column_names(header: Sequence[str]) -> list[str]:
    """Return quoted names of columns, none empty and no two the same.

    SQLite tells names apart by more than their case.
    """
    names: list[str] = []
    taken: set[str] = set()
    for place, title in enumerate(header, 1):
        title = str(title).replace("\0", "").strip() or f"column {place}"
        name, number = title, 1
        while name.lower() in taken:
            number += 1
            name = f"{title} ({number})"
        taken.add(name.lower())
        names.append(quoted(name))
    return names


def quoted(text: str, mark: str = '"') -> str:
    """Return a name of SQL in quotation marks, or with ' a value of it."""
    return mark + text.replace(mark, mark * 2) + mark


def _column(index: Any) -> int:
    if isinstance(index, bool) or not hasattr(index, "__index__"):
        raise ValueError(f"A column is a whole number, not {index!r}.")
    return operator.index(index)


def _type(cells) -> str:
    filled = [cell for cell in cells if not is_empty(cell)]
    numbers = [cell for cell in filled if read_number(cell) is not None]
    others = len(filled) - len(numbers)
    if not numbers or any(_CODE.fullmatch(str(cell)) for cell in numbers):
        return "text"
    unknown = sum(str(cell).strip().lower() in _UNKNOWN for cell in filled) if others else 0
    return "real" if others == unknown else "text"

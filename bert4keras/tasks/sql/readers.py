"""Reading questions about tables: the formats of WikiSQL and of TableQA."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...data import DataFileError, read_json_rows
from .query import AGGREGATES, CONNECTIVES, OPERATORS, SQL, Condition, Table

# The words that the two formats number. TableQA's order is that of this package.
WIKISQL = {"agg": ("", "MAX", "MIN", "COUNT", "SUM", "AVG"), "op": ("=", ">", "<")}
TABLEQA = {"agg": AGGREGATES, "op": OPERATORS}
TYPES = {"text": "text", "real": "real", "number": "real"}


class TableQuestion(NamedTuple):
    """A question and the table that it is about."""

    question: str
    table: Table


class TableSample(NamedTuple):
    """A `TableQuestion` and the query that answers it."""

    asked: TableQuestion
    sql: SQL

    @property
    def question(self) -> str:
        return self.asked.question

    @property
    def table(self) -> Table:
        return self.asked.table


def read_table_questions(
    path: str | os.PathLike,
    tables: str | os.PathLike | None = None,
    encoding: str | None = None,
) -> list[TableSample]:
    """Read questions with their queries, JSON lines or one array, packed or not.

    A row is `{"table_id", "question", "sql"}`. WikiSQL's `sql` is `{sel: 3, agg: 0,
    conds: [[column, op, value]]}`, TableQA's `{sel: [3], agg: [0], cond_conn_op: 1, conds: ...}`.
    The formats number aggregates and operators differently and are told apart by whether `sel` is
    a list.

    Args:
        path: the questions.
        tables: the tables, rows `{"id", "header", "rows", "types"}`, of which `rows` and `types`
            may be absent. By default the file beside `path` that is called the same except for
            `.tables` or `.headers` before `.json` or `.jsonl`.
        encoding: of both files; UTF-8 if None.

    Raises:
        DataFileError: a file that cannot be read, or a row that is wrong; names file and line.
    """
    known: dict[Any, Table] = {}
    for where, record in read_json_rows(
        _beside(Path(path)) if tables is None else tables, encoding
    ):
        with _naming(where):
            if record["id"] in known:
                raise ValueError(f"there is another table {record['id']!r} above")
            known[record["id"]] = _table(record)
    samples = []
    for where, record in read_json_rows(path, encoding):
        with _naming(where):
            table = known[record["table_id"]]
            question = TableQuestion(record["question"].strip(), table)
            samples.append(TableSample(question, _query(record["sql"], table)))
    if not samples:
        raise DataFileError.at(path, None, "it has no questions")
    return samples


def _table(record: dict) -> Table:
    types = tuple(TYPES[kind] for kind in record.get("types", ()))
    return Table(record["header"], record.get("rows", ()), types, str(record["id"]))


def _query(record: dict, table: Table) -> SQL:
    tableqa = isinstance(record["sel"], list)
    names = TABLEQA if tableqa else WIKISQL
    sel, agg = (record[k] if tableqa else [record[k]] for k in ("sel", "agg"))
    conds = [Condition(c, names["op"][op], str(value)) for c, op, value in record["conds"]]
    conn = CONNECTIVES[record["cond_conn_op"]] if tableqa else "and" if len(conds) > 1 else ""
    if not all(0 <= c < len(table.header) for c in [*sel, *(cond[0] for cond in conds)]):
        raise ValueError(f"a column that the table of {len(table.header)} columns lacks")
    return SQL(tuple(sel), tuple(names["agg"][a] for a in agg), tuple(conds), conn)


def _beside(path: Path) -> Path:
    """Return the file of the tables of a file of questions."""
    tried = []
    for word in ("tables", "headers"):
        name = re.sub(r"(\.jsonl?(\.\w+)?)$", rf".{word}\1", path.name)
        tried.append(name)
        if name != path.name and (path.parent / name).exists():
            return path.parent / name
    raise DataFileError.at(path, None, f"there are no tables beside it: {' nor '.join(tried)}")


@contextlib.contextmanager
def _naming(where: str) -> Iterator[None]:
    """Turn an error in a record into one that says where it is."""
    try:
        yield
    except KeyError as error:
        raise DataFileError(f"{where}: {error} is missing or unknown.") from None
    except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise DataFileError(f"{where}: {error}") from None

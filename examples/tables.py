"""Questions about tables: reading the formats of WikiSQL and TableQA, and a baseline."""

from __future__ import annotations

import collections
import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import common

from bert4keras.data import read_json_rows
from bert4keras.tasks.sql import SQL, Table
from bert4keras.tasks.sql.query import canonical_value

# The words that the two formats number. TableQA's are those of `tasks.sql.AGGREGATES`, ...
WIKISQL = {"agg": ("", "MAX", "MIN", "COUNT", "SUM", "AVG"), "op": ("=", ">", "<")}
TABLEQA = {"agg": ("", "AVG", "MAX", "MIN", "COUNT", "SUM"), "op": (">", "<", "=", "!=")}
CONNECTIVES = ("", "and", "or")


class Sample(NamedTuple):
    """A question, its table, and the query that answers it."""

    question: str
    table: Table
    sql: SQL


def read(path: Path, limit: int | None = None, tables: Path | None = None) -> list[Sample]:
    """Questions of a `*.jsonl` or `*.json` file, one object a line, also xz-compressed.

    WikiSQL's `sql` is {sel: 3, agg: 0, conds: [[column, op, value]]}, TableQA's {sel: [3],
    agg: [0], cond_conn_op: 1, conds: ...}; they number aggregates and operators differently and
    are told apart by whether `sel` is a list.

    Args:
        limit: take only so many questions.
        tables: file of the tables, {id, header, rows, types} a line, of which `rows` and `types`
            may be absent; by default the one beside `path` which is called the same but for
            `.tables` or `.headers` before `.json`.

    Raises:
        SystemExit: a file that cannot be read, or a line that is wrong; names file and line.
    """
    known = {}
    for where, record in _lines(tables or _beside(path)):
        with _naming(where):
            if record["id"] in known:
                raise ValueError(f"there is another table {record['id']!r} above")
            known[record["id"]] = _table(record)
    samples = []
    for where, record in _lines(path):
        with _naming(where):
            table = known[record["table_id"]]
            samples.append(Sample(record["question"].strip(), table, _query(record["sql"], table)))
        if len(samples) == limit:
            break
    return samples or sys.exit(f"{path} has no questions.")


def baseline(train: Sequence[Sample]) -> Callable[[str, Table], SQL]:
    """The most frequent aggregate and operator, and what stands literally in the question.

    A cell of the table that the question names becomes a condition (the longest first; of
    several columns the first), and so does, where no row is known, a number or what stands in
    quotation marks, for the last column that is named. Asked for is the column whose name has
    most words in the question; in a tie the one that training questions ask for most.
    """
    aggregates = collections.Counter(agg for s in train for agg in s.sql.agg)
    operators = collections.Counter(cond.operator for s in train for cond in s.sql.conds)
    places = collections.Counter(column for s in train for column in s.sql.sel)
    aggregate = aggregates.most_common(1)[0][0]
    operator = operators.most_common(1)[0][0] if operators else "="

    def guess(question: str, table: Table) -> SQL:
        said = canonical_value(question)
        words = set(re.findall(r"\w+", said))

        def named(column: int) -> float:
            title = re.findall(r"\w+", canonical_value(table.header[column]))
            return len(words.intersection(title)) / len(title) if title else 0.0

        conds = [(column, operator, cell) for column, cell in _named_cells(said, table)]
        taken = {column for column, _, _ in conds}
        free = [c for c in range(len(table.header)) if c not in taken] or [0]
        selected = max(free, key=lambda c: (named(c), places[c], -c))
        if not table.rows:
            rest = [c for c in free if c != selected] or [selected]
            column = max(rest, key=lambda c: (named(c), c))
            found = re.findall(r"\"([^\"]+)\"|(\d[\d,.]*\d|\d)", question)[:1]
            conds = [(column, operator, quoted or number) for quoted, number in found]
        return SQL((selected,), (aggregate,), tuple(conds), "and" if len(conds) > 1 else "")

    return guess


def _named_cells(said: str, table: Table) -> Iterator[tuple[int, str]]:
    """Columns and cells that a question names, none inside another."""
    cells = {}
    for column in range(len(table.header)):
        for row in table.rows:
            if row[column] is not None and (key := canonical_value(row[column])):
                cells.setdefault(key, (column, str(row[column])))
    for key in sorted(cells, key=lambda key: (-len(key), key)):
        # \b is of no use next to a bracket, or between Chinese characters.
        pattern = rf"(?<![a-z0-9]){re.escape(key)}(?![a-z0-9])"
        if re.search(pattern, said):
            said = re.sub(pattern, "\0", said)
            yield cells[key]


def _table(record: dict) -> Table:
    kinds = {"text": "text", "real": "real", "number": "real"}
    types = [kinds[kind] for kind in record.get("types", ())]
    return Table(record["header"], record.get("rows", ()), types, str(record["id"]))


def _query(record: dict, table: Table) -> SQL:
    tableqa = isinstance(record["sel"], list)
    names = TABLEQA if tableqa else WIKISQL
    sel, agg = (record[k] if tableqa else [record[k]] for k in ("sel", "agg"))
    conds = [(column, names["op"][op], str(value)) for column, op, value in record["conds"]]
    conn = CONNECTIVES[record["cond_conn_op"]] if tableqa else "and" if len(conds) > 1 else ""
    if not all(0 <= c < len(table.header) for c in [*sel, *(cond[0] for cond in conds)]):
        raise ValueError(f"a column that the table of {len(table.header)} columns lacks")
    return SQL(sel, [names["agg"][a] for a in agg], conds, conn)


def _beside(path: Path) -> Path:
    tried = []
    for word in ("tables", "headers"):
        name = re.sub(r"(\.jsonl?(\.xz)?)$", rf".{word}\1", path.name)
        tried.append(name)
        if name != path.name and (path.parent / name).exists():
            return path.parent / name
    sys.exit(f"There are no tables beside {path}: neither {' nor '.join(tried)}.")


def _lines(path: Path) -> list[tuple[str, dict]]:
    """Objects of a file, and where each stands."""
    with common.exits():
        return read_json_rows(path)


@contextlib.contextmanager
def _naming(where: str) -> Iterator[None]:
    """Turns an error in a record into one line that says where it is."""
    try:
        yield
    except KeyError as error:
        sys.exit(f"{where}: {error} is missing or unknown.")
    except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        sys.exit(f"{where}: {error}")

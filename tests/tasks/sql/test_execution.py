"""Queries in SQLite against a loop in Python, and the choice by what they return."""

from __future__ import annotations

import operator
import statistics

import numpy as np
import pytest

from bert4keras.tasks.sql import AGGREGATES, OPERATORS, SQL, Database, Table, execute
from bert4keras.tasks.sql.execution import execution_guided

pytestmark = pytest.mark.spread

TABLE = Table(
    ('na"me', "age", "Age", ""),
    (
        ("Ann", 30, "1,500", "x; DROP TABLE t"),
        ("bob", 41.5, "2", "it's"),
        ("Cy", None, "3", "x"),
        ("Dan", 30, "$4", ""),
    ),
    name='people"s',
)


def by_hand(sql, table):
    """Return the result of a query, without SQL."""
    compare = dict(
        zip(OPERATORS, (operator.gt, operator.lt, operator.eq, operator.ne), strict=True)
    )

    def cell(value, column):
        if value is None or value == "":
            return None
        if table.types[column] == "real":
            return float(str(value).replace(",", "").replace("$", ""))
        return str(value)

    def holds(row, cond):
        have, want = cell(row[cond.column], cond.column), cell(cond.value, cond.column)
        if isinstance(have, str):
            have, want = have.lower(), want.lower()
        return have is not None and compare[cond.operator](have, want)

    joined = any if sql.conn == "or" else all
    rows = [r for r in table.rows if not sql.conds or joined(holds(r, c) for c in sql.conds)]
    functions = {"AVG": statistics.fmean, "MAX": max, "MIN": min, "COUNT": len, "SUM": sum}
    if sql.agg == ("",):
        return [(cell(row[sql.sel[0]], sql.sel[0]),) for row in rows]
    found = []
    for column, aggregate in sql.selected:
        cells = [c for row in rows if (c := cell(row[column], column)) is not None]
        found.append(functions[aggregate](cells) if cells or aggregate == "COUNT" else None)
    return [tuple(found)]


def test_execution_by_hand():
    rng = np.random.default_rng(0)
    values = {0: ["ann", "BOB", "Cy"], 1: ["30", "41.5", "20"], 2: ["2", "3", "1,500"], 3: ["x"]}
    with Database(TABLE) as database:
        for _ in range(300):
            conds = []
            for _ in range(rng.integers(0, 3)):
                column = int(rng.integers(4))
                conds.append((column, OPERATORS[rng.integers(4)], rng.choice(values[column])))
            conn = ("and", "or")[rng.integers(2)]
            if rng.random() < 0.5:
                sql = SQL((int(rng.integers(4)),), ("",), conds, conn)
            else:
                sel = rng.integers(1, 3, rng.integers(1, 3)).tolist()
                sql = SQL(sel, [AGGREGATES[rng.integers(1, 6)] for _ in sel], conds, conn)
            found, wanted = database.execute(sql), by_hand(sql, TABLE)
            assert [len(row) for row in found] == [len(row) for row in wanted]
            for ours, theirs in zip(found, wanted, strict=True):
                for a, b in zip(ours, theirs, strict=True):
                    assert a == (pytest.approx(b) if isinstance(b, float) else b), sql


def test_values_are_data():
    """Quotation marks and statements in names and cells do nothing."""
    for value in ("it's", "x; DROP TABLE t"):
        assert execute(SQL((3,), ("",), [(3, "=", value)]), TABLE) == [(value,)]
    assert execute(SQL((0,), ("COUNT",), [(0, "=", "' OR '1'='1")]), TABLE) == [(0,)]


def test_a_column_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="has no column 4, but 4"):
        execute(SQL((0,), ("",), [(4, "=", "a")]), TABLE)
    with pytest.raises(ValueError, match="has no column -1"):
        execute(SQL((-1,), ("",)), TABLE)


def test_the_first_query_that_returns_something():
    dropped = [
        SQL((0,), ("",), [(0, "=", "nobody")]),
        SQL((0,), ("COUNT",), [(0, "=", "nobody")]),
        SQL((1,), ("MAX",), [(0, "=", "nobody")]),
        SQL((0,), ("SUM",)),  # of names
        SQL((1,), ("",), [(0, ">", "A")]),  # between names
        SQL((9,), ("",)),
    ]
    good = SQL((1,), ("MAX",), [(0, "=", "ann")])
    with Database(TABLE) as database:
        assert execution_guided([*dropped, good], database) == (good, [(30.0,)])
        assert execution_guided([good, *dropped], database) == (good, [(30.0,)])
        for sql in dropped:
            assert execution_guided([sql], database) == (sql, None)
        assert execution_guided([*dropped, good], database, most=3) == (dropped[0], None)
        with pytest.raises(ValueError, match="no candidate"):
            execution_guided([], database)


def test_a_table_without_rows():
    with Database(Table(("a", "a"))) as database:
        assert database.execute(SQL((0, 1), ("", ""))) == []
        assert database.execute(SQL((0, 1), ("COUNT", "SUM"))) == [(0, None)]


MIXED = Table(
    ("name", "score"),
    (("a", 5), ("b", "N/A"), ("c", "1,000"), ("d", ""), ("e", "−2"), ("f", "n/a"), ("g", "12-13")),
    ("text", "real"),
)


@pytest.mark.parametrize(
    ("operator", "value", "names"),
    [
        (">", "3", "ac"),
        ("<", "3", "e"),
        (">", "-1千", "ace"),
        ("=", "１０００", "c"),
        ("=", "$5", "a"),
        ("!=", "5", "ce"),
        ("=", "N/A", "bf"),
        ("!=", "N/A", "aceg"),
        ("=", "12-13", "g"),
        ("=", "12", ""),
        (">", "N/A", ""),
        ("<", "many", ""),
        ("=", "", ""),
    ],
)
def test_cells_that_are_no_numbers(operator, value, names):
    found = execute(SQL((0,), ("",), [(1, operator, value)]), MIXED)
    assert "".join(name for (name,) in found) == names
    if operator in "><" and not names:
        with Database(MIXED) as database:
            sql = SQL((0,), ("",), [(1, operator, value)])
            assert execution_guided([sql], database) == (sql, None)


def test_they_have_no_part_in_aggregates():
    wanted = {"MAX": 1000, "MIN": -2, "AVG": 1003 / 3, "SUM": 1003, "COUNT": 6}
    for aggregate, value in wanted.items():
        assert execute(SQL((1,), (aggregate,)), MIXED) == [(pytest.approx(value),)]
    found = execute(SQL((1,), ("",)), MIXED)
    assert [cell for (cell,) in found] == [5, "N/A", 1000, None, -2, "n/a", "12-13"]
    # The type is found out alike: what is written for the unknown is no text among numbers.
    known = Table(MIXED.header, MIXED.rows[:-1])
    assert known.types == ("text", "real")
    # In a column of texts numbers are taken where numbers are asked for.
    texts = Table(("a",), (("10",), ("9",), ("x",), ("5 m",)))
    assert execute(SQL((0,), ("AVG",)), texts) == [(9.5,)]
    assert execute(SQL((0,), ("",), [(0, ">", "9.5")]), texts) == [("10",)]
    assert execute(SQL((0,), ("MAX",)), texts) == [("x",)]


def test_what_python_and_sqlite_see_differently():
    values = (float("nan"), float("inf"), 2**63, 10**400, True, "1e999", "inf", "0x10")
    table = Table(("a",), [(value,) for value in values], ("real",))
    with Database(table) as database:
        for aggregate in ("MAX", "AVG", "SUM"):
            assert database.execute(SQL((0,), (aggregate,))) == [(None,)]
        assert database.execute(SQL((0,), ("COUNT",))) == [(7,)]  # NaN is an empty cell
        assert database.execute(SQL((0,), ("",), [(0, "=", str(2**63))])) == [(str(2**63),)]
        assert database.execute(SQL((0,), ("",), [(0, "=", str(2**63 + 1))])) == []


@pytest.mark.parametrize(
    "name",
    ["x; DROP TABLE y", 'a"; DROP TABLE "b', "sqlite_master", "", "\0", "a\0b", "'", "--", "]"],
)
def test_names_are_names(name):
    table = Table((name, name, name.upper()), ((1, 2, "x"),), name=name)
    assert execute(SQL((0, 1, 2), ("", "SUM", "")), table) == [(1, 2, "x")]
    sql = SQL((2,), ("",), [(0, "=", "1"), (1, "=", "1' OR '1'='1")], "and")
    assert execute(sql, table) == []


def test_tables_that_sqlite_cannot_hold():
    for header, message in ((["a"] * 3000, "too many columns"), (["\ud83d"], "surrogates")):
        with pytest.raises(ValueError, match=f"SQLite cannot hold table 'table': .*{message}"):
            Database(Table(header))
    with pytest.raises(ValueError, match="cannot hold table"):
        Database(Table(("a",), (("\ud83d",),)))

"""Files of questions and tables: WikiSQL and TableQA, whole and damaged."""

from __future__ import annotations

import json

import pytest

from bert4keras.data import DataFileError
from bert4keras.tasks.sql import SQL, read_table_questions

pytestmark = pytest.mark.spread

TABLE = {"id": "t", "header": ["name", "votes"], "types": ["text", "number"], "rows": [["a", 5]]}
WIKISQL = {"sel": 1, "agg": 5, "conds": [[0, 0, "a"], [1, 1, "3"]]}
TABLEQA = {"sel": [1], "agg": [2], "cond_conn_op": 2, "conds": [[1, 0, "1亿"], [0, 3, "b"]]}


def write(path, *rows, encoding="utf-8"):
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding)
    return path


def question(sql, **changes):
    return {"table_id": "t", "question": " votes? ", "sql": sql, **changes}


def test_formats(tmp_path):
    path = write(tmp_path / "a.jsonl", question(WIKISQL), question(TABLEQA))
    write(tmp_path / "a.tables.jsonl", TABLE)
    first, second = read_table_questions(path)
    assert first.question == "votes?"
    assert first.table.types == ("text", "real")
    # The formats number aggregates and operators differently.
    assert first.sql == SQL((1,), ("AVG",), [(0, "=", "a"), (1, ">", "3")], "and")
    assert second.sql == SQL((1,), ("MAX",), [(1, ">", "1亿"), (0, "!=", "b")], "or")
    (asked, sql), _ = first, second
    assert (asked.table, sql) == (first.table, first.sql)


@pytest.mark.parametrize("word", ["tables", "headers"])
def test_where_the_tables_are(tmp_path, word):
    path = write(tmp_path / "a.json", question(WIKISQL))
    with pytest.raises(DataFileError, match=r"no tables beside it: a\.tables\.json nor a\.headers"):
        read_table_questions(path)
    write(tmp_path / f"a.{word}.json", {"id": "t", "header": ["name", "votes"]})
    assert read_table_questions(path)[0].table.rows == ()
    other = write(tmp_path / "b.json", {**TABLE, "header": ["他", "b"]}, encoding="gb18030")
    found = read_table_questions(path, other, encoding="gb18030")
    assert found[0].table.header == ("他", "b")


@pytest.mark.parametrize(
    ("sql", "changes", "message"),
    [
        (WIKISQL, {"table_id": "u"}, r"a\.jsonl, line 1: 'u' is missing or unknown"),
        ({"sel": 1}, {}, "line 1: 'agg' is missing"),
        ({**WIKISQL, "sel": 2}, {}, "line 1: a column that the table of 2 columns lacks"),
        ({**WIKISQL, "agg": 9}, {}, "line 1: tuple index out of range"),
        (None, {}, "line 1: "),
    ],
)
def test_bad_questions_are_named(tmp_path, sql, changes, message):
    path = write(tmp_path / "a.jsonl", question(sql, **changes))
    write(tmp_path / "a.tables.jsonl", TABLE)
    with pytest.raises(DataFileError, match=message):
        read_table_questions(path)


def test_bad_tables_are_named(tmp_path):
    path = write(tmp_path / "a.jsonl")
    tables = write(tmp_path / "a.tables.jsonl", TABLE)
    with pytest.raises(DataFileError, match="it has no questions"):
        read_table_questions(path)
    write(tables, TABLE, TABLE)
    with pytest.raises(DataFileError, match="line 2: there is another table 't' above"):
        read_table_questions(path)
    write(tables, {**TABLE, "types": ["text", "date"]})
    with pytest.raises(DataFileError, match="line 1: 'date' is missing or unknown"):
        read_table_questions(path)

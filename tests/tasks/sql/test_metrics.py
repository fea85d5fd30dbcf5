"""Accuracy of queries by hand."""

from __future__ import annotations

import pytest

from bert4keras.tasks.sql import SQL, Table, same_result, sql_accuracy

pytestmark = pytest.mark.spread

TABLE = Table(("name", "age"), (("Ann", 30), ("Bob", 41), ("Cy", 30)))
ANN = SQL((1,), ("",), [(0, "=", "Ann")])


def test_accuracy_by_hand():
    wanted = SQL((0, 1), ("", "MAX"), [(0, "=", "Ann"), (1, ">", "3")], "and")
    predictions = [
        SQL((1, 0), ("MAX", ""), [(1, ">", "3.0"), (0, "=", "ANN")], "and"),
        SQL((0, 1), ("MAX", ""), [(1, ">", "3"), (0, "=", "Ann")], "or"),
        SQL((0,), ("",), [(0, ">", "3"), (1, "=", "Ann")], "and"),
        SQL((0, 1), ("", "MIN"), [(0, "=", "Ann")]),
    ]
    assert sql_accuracy(predictions, [wanted] * 4) == {
        "logical_form": 0.25,
        "select": 0.25,
        "select_column": 0.75,
        "aggregate": 0.5,
        "connective": 0.5,
        "conditions": 0.5,
        "condition_number": 0.75,
        "condition_column": 0.75,
        "condition_operator": 0.75,
        "condition_value": 0.75,
    }


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (ANN, SQL((1,), ("MIN",)), True),
        (ANN, SQL((1,), ("MAX",)), False),
        (ANN, SQL((1,), ("",), [(1, "<", "41")]), False),  # 30 twice
        (SQL((0, 1), ("", "")), SQL((1, 0), ("", "")), True),
        (SQL((0,), ("",)), SQL((0,), ("",), [(1, ">", "0")]), True),
        (ANN, SQL((7,), ("",)), False),  # it does not run
    ],
)
def test_results(first, second, same):
    assert same_result(first, second, TABLE) is same
    assert same_result(second, first, TABLE) is same


def test_execution_counts_where_there_are_rows():
    bare = Table(("name", "age"))
    other = SQL((1,), ("MIN",))
    scores = sql_accuracy([other, other], [ANN, ANN], [TABLE, bare])
    assert (scores["execution"], scores["logical_form"]) == (1.0, 0.0)
    assert sql_accuracy([SQL((0,), ("",))], [ANN], [TABLE])["execution"] == 0
    assert "execution" not in sql_accuracy([ANN], [ANN], [bare])


def test_unequal_numbers_are_named():
    with pytest.raises(ValueError, match="1 predictions for 2 references"):
        sql_accuracy([ANN], [ANN, ANN])
    with pytest.raises(ValueError, match="0 predictions"):
        sql_accuracy([], [])
    with pytest.raises(ValueError, match="2 tables for 1 references"):
        sql_accuracy([ANN], [ANN], [TABLE, TABLE])

"""Queries and tables as values."""

from __future__ import annotations

import pytest

from bert4keras.tasks.sql import SQL, Condition, Table
from bert4keras.tasks.sql.query import canonical_value, column_names

pytestmark = pytest.mark.spread


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("New  York ", "new york", True),
        ("１，０００", "1000", True),
        (3, "3.0", True),
        ("-0", 0, True),
        ("1e3", "1000", True),
        ("10²", "102", False),
        ("12345678901234567890", "12345678901234567891", False),
        ("1 000", "１，０００", True),
        ("−5", "-5", True),
        ("1,00", "100", False),
        ("0.50", ".5", True),
        ("3", "33", False),
        ("", " ", True),
        ("٣", "3", True),
    ],
)
def test_values_that_are_the_same(first, second, same):
    assert (canonical_value(first) == canonical_value(second)) is same


def test_logical_form_knows_no_order():
    first = SQL((0, 1), ("", "MAX"), [(2, "=", "Rome"), (3, ">", 5)], "and")
    second = SQL((1, 0), ("MAX", ""), [(3, ">", "5.0"), (2, "=", "ROME")], "and")
    assert first.logical_form() == second.logical_form()
    for other in (
        SQL((0, 1), ("", "MIN"), first.conds, "and"),
        SQL((0,), ("",), first.conds, "and"),
        SQL((0, 1), ("", "MAX"), first.conds, "or"),
        SQL((0, 1), ("", "MAX"), first.conds[:1]),
        SQL((0, 1), ("", "MAX"), [(2, "!=", "Rome"), (3, ">", 5)], "and"),
    ):
        assert other.logical_form() != first.logical_form()
    # Of one condition the connective says nothing.
    one = [SQL((0,), ("",), [(1, "=", "a")], conn).logical_form() for conn in ("", "and", "or")]
    assert one[0] == one[1] == one[2]


def test_text():
    sql = SQL((0, 1), ("", "MAX"), [(1, ">", 5), (0, "=", "O'Neill")], "or")
    assert sql.text(['na"me', "age"]) == (
        'SELECT "na""me", MAX("age") WHERE "age" > \'5\' OR "na""me" = \'O\'\'Neill\''
    )
    assert SQL((0,), ("COUNT",)).text(["a"]) == 'SELECT COUNT("a")'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), ()), "needs columns and an aggregate for each"),
        (((0,), ()), "needs columns and an aggregate for each"),
        (((0,), ("MEAN",)), "'MEAN' is not one of"),
        (((0,), ("",), [(0, "==", "a")]), "'==' is not one of"),
        (((0,), ("",), [], "xor"), "'xor' is not one of"),
        (((0.0,), ("",)), "A column is a whole number, not 0.0"),
        ((("0",), ("",)), "A column is a whole number, not '0'"),
        (((0,), ("",), [(True, "=", "a")]), "A column is a whole number, not True"),
        (((0,), ("",), [(0, "=", None)]), "A condition needs a value"),
    ],
)
def test_queries_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        SQL(*arguments)


def test_types_are_found_out():
    table = Table(("a", "b", "c", "d"), ((1, "1,5", None, "x"), ("$2", "3", "", "4")))
    assert table.types == ("real", "text", "text", "text")
    rows = (("N/A", "007", "3.5万", True), (" 12 ", "12", "-", float("nan")), ("5%", "0", "", 1))
    assert Table(("a", "b", "c", "d"), rows).types == ("real", "text", "real", "text")
    assert Table(("a", "b"), (("N/A", float("nan")), ("-", None))).types == ("text", "text")
    assert Table(("a",), types=("real",)).types == ("real",)
    assert Table(("a", "b")).types == ("text", "text")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((),), "'table' has no column"),
        ((("a", "b"), ((1, 2), (3,))), "row 2: 1 cells for 2 columns"),
        ((("a",), (), ("int",)), "the type 'text' or 'real' of each of its 1 columns"),
        ((("a",), (), ("text", "text")), "each of its 1 columns"),
        (("abc",), "the header is no sequence of cells: 'abc'"),
        ((("a", "b"), ("xy",)), "row 1 is no sequence of cells: 'xy'"),
        ((("a",), ((1,), 5)), "row 2 is no sequence of cells: 5"),
        ((("a",), ((1,), ([1],))), r"row 2: a cell is a text or a number, not \[1\]"),
    ],
)
def test_tables_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        Table(*arguments)


def test_column_names_are_different_ones():
    header = ["Name", "name", "", 'a"b', "NAME", " ", "name (2)"]
    names = column_names(header)
    assert len({name.lower() for name in names}) == len(header)
    assert names[:4] == ['"Name"', '"name (2)"', '"column 3"', '"a""b"']


def test_conditions_are_made_of_triples():
    assert SQL((0,), ("",), [[1, "=", 3]]).conds == (Condition(1, "=", "3"),)

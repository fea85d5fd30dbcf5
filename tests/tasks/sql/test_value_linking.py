"""From values to cells."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from bert4keras.tasks.sql import Condition, Table
from bert4keras.tasks.sql.value_linking import ValueLinker, edit_distance

pytestmark = pytest.mark.spread

TABLE = Table(
    ("from", "to", "price", "code"),
    (
        ("Lisbon", "Porto", "1,200", "bat"),
        ("Porto", "Oslo", "80", "cat"),
        (None, "Lisbon ", 80.0, "hat"),
    ),
)


def slow_distance(first, second):
    """The recursion of the definition."""

    @functools.cache
    def d(i, j):
        if not i or not j:
            return i + j
        return min(
            d(i - 1, j) + 1, d(i, j - 1) + 1, d(i - 1, j - 1) + (first[i - 1] != second[j - 1])
        )

    return d(len(first), len(second))


def test_edit_distance_by_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(200):
        first, second = ("".join(rng.choice(list("abc"), rng.integers(0, 7))) for _ in "12")
        wanted = slow_distance(first, second)
        assert edit_distance(first, second) == wanted
        for limit in range(8):
            assert edit_distance(first, second, limit) == min(wanted, limit + 1)


@pytest.mark.parametrize(
    ("value", "operator", "columns", "wanted"),
    [
        ("porto", "=", (0, 1, 2, 3), (0, "=", "Porto")),
        ("porto", "=", (1, 0, 2, 3), (1, "=", "Porto")),
        ("oslo", "=", (0, 2, 1, 3), (1, "=", "Oslo")),  # the first column that has it
        ("lisbonn", "!=", (0, 1, 2, 3), (0, "!=", "Lisbon")),
        ("lisbonn", "=", (3, 2, 1, 0), (0, "=", "Lisbon")),  # a tie of columns 0 and 1
        ("lisbonn", "=", (1, 3, 2, 0), (1, "=", "Lisbon ")),
        ("rat", "=", (3, 0, 1, 2), (3, "=", "bat")),  # a tie of rows
        ("1200", "=", (0, 1, 2, 3), (2, "=", "1,200")),
        ("$80", "=", (2, 0, 1, 3), (2, "=", "80")),
        ("81", "=", (2, 0, 1, 3), (2, "=", "81")),  # not 80, however near
        ("Reykjavik", "=", (0, 1, 2, 3), (0, "=", "Reykjavik")),
        ("$1,000", ">", (2, 0, 1, 3), (2, ">", "1000")),
        ("5", "<", (0, 3, 1, 2), (2, "<", "5")),  # the first of numbers
        ("cheap", ">", (0, 1, 2, 3), (0, "=", "cheap")),
        ("porto", "<", (0, 1, 2, 3), (0, "=", "Porto")),
    ],
)
def test_linking(value, operator, columns, wanted):
    assert ValueLinker(TABLE).link(value, operator, columns) == Condition(*wanted)


def test_without_a_limit_there_is_always_a_cell():
    found = ValueLinker(TABLE, max_distance=1).link("Reykjavik", "=", (0, 1, 2, 3))
    assert found.value in {str(cell) for row in TABLE.rows for cell in row}


def test_without_rows_the_operator_alone_is_made_right():
    link = ValueLinker(Table(("a", "b"))).link
    assert link("x", "=", (1, 0)) == Condition(1, "=", "x")
    assert link("x", ">", (1, 0)) == Condition(1, "=", "x")
    assert link("7", ">", (1, 0)) == Condition(1, ">", "7")


def test_numbers_are_read_alike():
    table = Table(("name", "votes"), (("a", "1亿"), ("b", "3.5万"), ("c", "N/A"), ("d", 7)))
    link = ValueLinker(table).link
    assert link("100,000,000", "=", (1, 0)) == Condition(1, "=", "1亿")
    assert link("35000", "=", (0, 1)) == Condition(1, "=", "3.5万")
    assert link("3.5 万", ">", (0, 1)) == Condition(1, ">", "35000")
    assert link("−7", "<", (1, 0)) == Condition(1, "<", "-7")
    assert link("n/a", "=", (1, 0)) == Condition(1, "=", "N/A")


def test_long_cells_take_no_time():
    link = ValueLinker(Table(("a",), (("x" * 20_000,), ("y" * 20_000,)))).link
    assert link("z" * 20_000, "=", (0,)).value == "z" * 20_000
    assert link("X" * 20_000, "=", (0,)).value == "x" * 20_000
    assert link("z", "=", (0,)).value == "z"

"""Texts that are read as numbers, and texts that are not."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert4keras.tasks.sql import SQL, Database, Table
from bert4keras.tasks.sql.numbers import number_text, plain_number, read_number

pytestmark = pytest.mark.spread

PLAIN = {
    "3": 3,
    " ３．５ ": 3.5,
    "+2.5": 2.5,
    ".5": 0.5,
    "007": 7,
    "٣": 3,
    "1,234": 1234,
    "1,234,567.5": 1234567.5,
    "1，234": 1234,
    "1 234": 1234,
    "1\u00a0234\u00a0567": 1234567,
    "1\u202f234": 1234,
    "1\u2009234": 1234,
    "1'234": 1234,
    "1’234": 1234,
    "1e3": 1000,
    "1.5E+06": 1500000,
    "2e-3": 0.002,
    **dict.fromkeys(["-3", "−3", "–3", "‐3", "‑3", "－３", "﹣3"], -3),
    "100000000000000000000": 1e20,
}
NUMBERS = {
    **PLAIN,
    "5%": 5,
    "-12.5 ％": -12.5,
    **dict.fromkeys(["$5", "€5", "5 €", "£5", "¥5", "￥５", "US$5", "HK$5", "USD 5", "5 USD"], 5),
    **dict.fromkeys(["5元", "5美元", "5 欧元", "5 dollars", "5 Euro", "5人民币", "5块钱"], 5),
    "$1,200.50": 1200.5,
    **dict.fromkeys(["-$5", "$-5", "−$5", "(5)", "($5)", "（5）", "(5%)", "负5", "负5元"], -5),
    "1亿": 1e8,
    "3.5万": 35000,
    "3.5 万元": 35000,
    "2千": 2000,
    "5百万": 5e6,
    "1.2万亿": 1.2e12,
    "1億": 1e8,
    "1亿2000万": 1.2e8,
    "-1亿2千万美元": -1.2e8,
    "¥1.1万": 11000,
    "1.5亿元人民币": 1.5e8,
    "1,000万": 1e7,
    "2.5 million": 2.5e6,
    "$3 Billion": 3e9,
}
NONE = """
1.2.3|12-13|12–13|3rd|1st|No. 5|5 m|5kg|5 km²|3个|第3|2012-05-06|05/06|5/6|12:30|10.0.0.1
010-12345678|138 1234 5678|555-1234|+86 138 1234 5678|(010)1234
1,5|1.234,5|1,00|1,2345|1,00,000|1,234 567|1 234 5|12 34|1.234.567|1_000|0x10|1e5万
½|1½|10²|①|⑴|Ⅳ|二十|五万|万|亿|3万5|1亿-2000万|1亿 2000亿|2000万1亿|1 million 5 thousand|2.5k|5M
nan|NaN|inf|-inf|Infinity|True|None|N/A|-|--|—|—5
+|.|5.|$|元|%|5%%|$$5|-$-5|(-5)|负-5|--5|- 5|(5|5)|()
1e999|1e-999|1e9999|12345678901234567|9007199254740993|9223372036854775808|5‰|5°|#5|5 6|a|
"""


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_numbers(text, number):
    assert read_number(text) == number
    assert plain_number(text) == PLAIN.get(text)
    # Cells and values: however it is written, it is found by its digits, and the other way round.
    with Database(Table(("a",), ((text,), ("N/A",)), ("real",))) as database:
        assert database.execute(SQL((0,), ("MAX",))) == [(number,)]
        assert database.execute(SQL((0,), ("",), [(0, "=", number_text(number))])) == [(number,)]
    with Database(Table(("a",), ((number,), ("N/A",)), ("real",))) as database:
        for operator, rows in (("=", [(number,)]), (">", []), ("<", []), ("!=", [])):
            assert database.execute(SQL((0,), ("",), [(0, operator, text)])) == rows


@pytest.mark.parametrize("text", sorted({t for line in NONE.split("\n") for t in line.split("|")}))
def test_what_is_no_number(text):
    assert read_number(text) is None
    assert plain_number(text) is None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (2.5, 2.5),
        (-0.0, 0),
        (0.1 + 0.2, 0.1 + 0.2),
        (1e300, 1e300),
        (Decimal("1.50"), 1.5),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (True, None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (2**53 + 1, None),
        (2**63, None),
        (10**400, None),
        ("1" * 1_000_000, None),
        ("(" * 1_000_000, None),
        ("1," * 50, None),
        ([], None),
    ],
)
def test_values_of_other_kinds(value, number):
    found = read_number(value)
    assert found == number
    assert found is None or type(found) is float


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back(number):
    text = number_text(number)
    assert "e" not in text.lower()
    if number == int(number) and abs(number) >= 10**15:
        assert plain_number(text) in (number, None)  # an identifier, perhaps
    elif len(text) <= 100:
        assert read_number(text) == plain_number(text) == number


@given(st.text(alphabet="0123456789-−–+.,' ’()eE%$€元万亿千百十 million½²　１", max_size=12))
def test_any_text_is_a_number_or_none(text):
    for read in (read_number, plain_number):
        found = read(text)
        assert found is None or (type(found) is float and abs(found) < float("inf"))

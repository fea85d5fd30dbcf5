"""The number that a cell of a table or a value of a question is: one reading for both.

What is read, what is not and why: see `read_number`. The rule is that a text which could be two
things (a decimal comma or a broken group, a date, a telephone number, a version) is no number.
"""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import Decimal
from typing import Any

_MAX_DIGITS = 15  # of a whole number that float64 surely tells from its neighbours
_MAX_LENGTH = 100

_MINUS = str.maketrans(dict.fromkeys("\u2212\u2013\u2010\u2011\ufe63\uff0d", "-"))
_BODY = r"(\d{1,3}(?:(?P<mark>[,'\u2019 ])\d{3})(?:(?P=mark)\d{3})*|\d+)?(\.\d+)?"
_PLAIN = re.compile(rf"(?P<sign>[-+]?)(?P<digits>{_BODY})(?P<exponent>[eE][-+]?\d{{1,3}})?")
_CURRENCY = r"US\$|HK\$|NT\$|[$€£¥₩₹₽]|(?:USD|EUR|GBP|CNY|RMB|JPY)(?![A-Za-z])"
_NAMES = "元人民币|人民币|块钱|块|美元|欧元|英镑|日元|韩元|加元|澳元|港元|港币|卢布|美金|元"
_NAMES += "|dollars?|euros?|pounds?|yuan"
_BEFORE = re.compile(rf"(?P<sign>[-+]?)\s*(?:{_CURRENCY})\s*(?P<rest>.*)", re.IGNORECASE)
_AFTER = re.compile(rf"\s*(?:{_CURRENCY}|{_NAMES})", re.IGNORECASE)

_SCALES = {"十": 1, "百": 2, "千": 3, "万": 4, "十万": 5, "百万": 6, "千万": 7, "亿": 8}
_SCALES |= {"十亿": 9, "百亿": 10, "千亿": 11, "万亿": 12}
_WORDS = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALED = re.compile(r"([^十百千万亿A-Za-z]*[^十百千万亿A-Za-z\s])\s*([十百千万亿]+|[A-Za-z]+)")


def read_number(value: Any) -> float | None:
    """Return the number that a cell or a value denotes, or None.

    It may have a sign (any of the dashes that are used as minus, 负, or accountants' brackets),
    thousands separated by one mark throughout (, ' ’ or a blank), decimals after a point, an
    exponent, full-width forms, Chinese units (3.5万, 1亿2000万) or English ones (2.5 million), and
    a currency or a percent sign, which are ignored: 5% is 5, $5 is 5. Nothing is converted.

    No number, because it could mean something else: a decimal comma (1,5; 1.234,5), groups of other
    sizes (1,00), dates, ranges (12-13), versions (1.2.3), telephone numbers, ordinals (3rd), units
    of measure (5 m), several numbers, ½, 10² and ① (which lose their meaning when they become plain
    digits), nan and inf, True, whole numbers of more than 15 digits that are not 0 at the end
    (identifiers: float64 would take one for another), and what float64 cannot hold.

    Args:
        value: a text, a number, or anything else by its `str`.
    """
    if isinstance(value, bool):
        return None
    text = str(value)
    if len(text) > _MAX_LENGTH or any(unicodedata.category(char) == "No" for char in text):
        return None
    text = unicodedata.normalize("NFKC", text).strip().translate(_MINUS)
    text = text.translate({ord("萬"): "万", ord("億"): "亿"})
    sign = 1
    if text[:1] == "(" and text[-1:] == ")" and text[1:2] not in "-+(":
        sign, text = -1, text[1:-1].strip()
    elif text[:1] == "负":
        sign, text = -1, text[1:].strip()
        if text[:1] in tuple("-+("):
            return None
    if before := _BEFORE.fullmatch(text):
        text = before["sign"] + before["rest"]
        if before["sign"] and before["rest"][:1] in tuple("-+"):
            return None
    else:
        text = re.sub(rf"{_AFTER.pattern}$", "", text, flags=re.IGNORECASE)
    number = _scaled(re.sub(r"\s*%$", "", text))
    return None if number is None else _float(sign * number)


def plain_number(value: Any) -> float | None:
    """Read a number of digits, sign, thousands separators and exponent only."""
    text = str(value).strip().translate(_MINUS)
    if len(text) > _MAX_LENGTH or any(unicodedata.category(char) == "No" for char in text):
        return None
    number = _plain(unicodedata.normalize("NFKC", text))
    return None if number is None else _float(number)


def number_text(number: float) -> str:
    """Return a number in digits without an exponent, the shortest: "1000", "0.1"."""
    return f"{Decimal(repr(float(number))).normalize() + 0:f}"


def _plain(text: str) -> Decimal | None:
    match = _PLAIN.fullmatch(text)
    if not match or not any(char.isdecimal() for char in match["digits"]):
        return None
    digits = match["digits"]
    if match["mark"]:
        digits = digits.replace(match["mark"], "")
    return Decimal(match["sign"] + digits + (match["exponent"] or ""))


def _scaled(text: str) -> Decimal | None:
    """Return a plain number, or one of units, the largest first: 1亿2000万, 2.5 million."""
    if (number := _plain(text)) is not None:
        return number
    total, place, above, sign = Decimal(0), 0, 0, 1
    while match := _SCALED.match(text, place):
        part, unit = _plain(match[1]), match[2].lower()
        scale = _SCALES.get(unit, _WORDS.get(unit))
        # 1亿-2000万 is a range, and 1亿 2000亿 are two numbers.
        if part is None or scale is None or (place and not match[1][0].isdecimal()):
            return None
        if place and (part.scaleb(scale) >= Decimal(10) ** above or unit in _WORDS):
            return None
        sign = -1 if match[1][0] == "-" else sign
        total, place, above = total + abs(part).scaleb(scale), match.end(), scale
    return sign * total if place and place == len(text) else None


def _float(number: Decimal) -> float | None:
    """Return a number as float64, unless that would make it another one."""
    found = float(number)
    whole = number == number.to_integral_value() if number.adjusted() < 40 else True
    if not math.isfinite(found) or (found == 0) != (number == 0):
        return None
    if whole and len(number.normalize().as_tuple().digits) > _MAX_DIGITS:
        return None
    return found

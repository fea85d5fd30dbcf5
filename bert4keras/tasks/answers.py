"""Answers of all tasks as plain values of JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def to_json(answer: object) -> Any:
    """Return an answer of a task as values that `json.dumps` writes.

    Objects with named fields (`Entity`, `Classification`, `SQL`, ...) become dicts of these fields,
    in their order; tuples and arrays become lists, sets sorted lists, and numpy's numbers those of
    Python. Keys of a dict become texts.

    Args:
        answer: an answer, a list of answers, or a part of one.

    Raises:
        ValueError: a number that JSON does not have (NaN, infinity); the message says where it is.
        TypeError: a value that is none of these.
    """
    return _json_value(answer, "answer")


def _json_value(value: Any, where: str) -> Any:
    """Convert a value, which `where` names in messages."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, which JSON cannot express.")
        return value
    if (fields := _named_parts(value)) is not None:
        return {name: _json_value(part, f"{where}.{name}") for name, part in fields.items()}
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    if isinstance(value, (list, tuple)):
        return [_json_value(part, f"{where}[{i}]") for i, part in enumerate(value)]
    raise TypeError(f"{where} is a {type(value).__name__}, which has no form in JSON.")


def _named_parts(value: Any) -> dict[str, Any] | None:
    """Return the named parts of a value; None if it has no names."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    return None

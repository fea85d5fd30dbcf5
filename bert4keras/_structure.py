"""Values in lists, tuples and dicts, without Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def map_structure(function: Callable[[Any], Any], value: object) -> Any:
    """Apply a function to all values in nested lists, tuples and dicts; return the same nesting."""
    if isinstance(value, Mapping):
        return {key: map_structure(function, part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([map_structure(function, part) for part in value])
    return function(value)


def flatten(value: object) -> list[Any]:
    """Return all values in nested lists, tuples and dicts; those of a dict sorted by their keys."""
    if isinstance(value, Mapping):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [one for part in value for one in flatten(part)]
    return [value]

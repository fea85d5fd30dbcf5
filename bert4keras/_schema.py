"""Validation of config values against the annotations of the config's dataclass.

A field states its type and, through `Annotated`, its range: `vocab_size: Size`. `problem` compares
a value with them. A family declares its own fields in the same way and needs no code to check them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any


@dataclasses.dataclass(frozen=True)
class Rule:
    """A condition on a value of the right type.

    Attributes:
        says: the allowed values, in words that follow "must be".
        holds: predicate: True for an allowed value.
    """

    says: str
    holds: Callable[[Any], bool]


@dataclasses.dataclass(frozen=True)
class Only:
    """Values of an unsupported config key that do not change what the model computes.

    Calling it with a value returns True if the value must be refused.
    """

    allowed: tuple[Any, ...]

    def __init__(self, *allowed: Any):
        object.__setattr__(self, "allowed", allowed)

    def __call__(self, value: object) -> bool:
        # By type too: in Python, 1 equals True.
        same = (value == other for other in self.allowed if _json_type(value) is _json_type(other))
        return not any(same)


def one_of(*names: str) -> Rule:
    """Return the rule that a text must be one of `names`."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


def _is_activation(name: str) -> bool:
    import keras

    if name in ACTIVATION_ALIASES or name == "gelu_tanh":
        return True
    if name == "glu":  # halves the width
        return False
    try:
        return callable(keras.activations.get(name))
    except ValueError:
        return False


# Other names of the same functions. "gelu" is the exact (erf) form.
ACTIVATION_ALIASES = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_python": "gelu",
    "gelu_erf": "gelu",
    "swish": "silu",
}

_LIMIT = Rule("an integer below 2**63 in size", lambda value: abs(value) < 2**63)
Whole = Annotated[int, Rule("an integer", lambda value: True), _LIMIT]
Size = Annotated[int, Rule("a positive integer", lambda value: value >= 1), _LIMIT]
Count = Annotated[int, Rule("an integer of 0 or more", lambda value: value >= 0), _LIMIT]
TokenId = Annotated[
    int, Rule("a token id, or -1 for that of no token", lambda value: value >= -1), _LIMIT
]
Rate = Annotated[float, Rule("a number in [0, 1)", lambda value: 0 <= value < 1)]
Positive = Annotated[float, Rule("a number above 0", lambda value: value > 0)]
Spread = Annotated[float, Rule("a number of 0 or more", lambda value: value >= 0)]
Mixture = Annotated[
    float, Rule("a number in (0, 1) other than 0.5", lambda value: 0 < value < 1 and value != 0.5)
]
Activation = Annotated[
    str,
    Rule(
        "the name of an activation ('gelu', 'gelu_tanh', 'relu', 'silu', 'tanh' or another of "
        "keras.activations)",
        _is_activation,
    ),
]

_TYPES = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}


@functools.cache
def field_types(cls: type) -> dict[str, Any]:
    """Return the types of a config's fields, with their rules.

    If the annotations of a class cannot be resolved (they name something local to a function),
    those of its base class are used.
    """
    for base in cls.__mro__:
        try:
            return typing.get_type_hints(base, include_extras=True)
        except NameError:
            continue
    return {}


def problem(annotation: object, value: object) -> str | None:
    """Return None for an allowed value, else the allowed ones in words that follow "must be"."""
    options = _options(annotation)
    if any(_fits(option, value) for option in options):
        return None
    return " or ".join(_described(option, value) for option in options)


def plain(value: object) -> object:
    """Return a numpy number as a Python number, which json can write; other values unchanged."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _json_type(value: object) -> type:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float
    return list if isinstance(value, tuple) else type(value)


def _options(annotation: object) -> tuple[object, ...]:
    """Return the types of a union, None last."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        found = [option for part in typing.get_args(annotation) for option in _options(part)]
        return tuple(sorted(found, key=lambda option: option is type(None)))
    return (annotation,)


def _fits(annotation: object, value: object) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        rules = (rule for rule in arguments[1:] if isinstance(rule, Rule))
        return problem(arguments[0], value) is None and all(rule.holds(value) for rule in rules)
    if origin is tuple and arguments[1:] == (...,):
        return isinstance(value, (list, tuple)) and all(
            problem(arguments[0], item) is None for item in value
        )
    if annotation is type(None):
        return value is None
    if annotation is bool or annotation is str:
        return isinstance(value, annotation)
    if annotation is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if annotation is float:
        return _is_finite(value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    return True  # the schema does not know this type; the family may check it


def _is_finite(value: object) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer larger than any float
        return False


def _described(annotation: object, value: object) -> str:
    """Describe the values that `annotation` allows; of several rules, the first one broken."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        rules = [rule for rule in arguments[1:] if isinstance(rule, Rule)]
        if problem(arguments[0], value) is None:
            rules = [rule for rule in rules if not rule.holds(value)]
        return rules[0].says if rules else _described(arguments[0], value)
    if origin is tuple:
        items = value if isinstance(value, (list, tuple)) else [None]
        wrong = next((item for item in items if problem(arguments[0], item)), None)
        return f"a list in which each item is {_described(arguments[0], wrong)}"
    if annotation is type(None):
        return "null"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "an object of keys"
    return _TYPES.get(annotation, str(annotation))

"""What the values of a config may be, read off the annotations of its dataclass.

A field says its type and, through `Annotated`, its range: `vocab_size: Size`. `problem` compares a
value with that. A family declares its own fields in the same way and writes no checks for them.
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
        says: what is allowed, in words that follow "must be".
        holds: whether a value is that.
    """

    says: str
    holds: Callable[[Any], bool]


@dataclasses.dataclass(frozen=True)
class Only:
    """Of a key that changes the function elsewhere: the values that change nothing here.

    Called with a value, it says whether that must be refused.
    """

    allowed: tuple[Any, ...]

    def __init__(self, *allowed: Any):
        object.__setattr__(self, "allowed", allowed)

    def __call__(self, value: Any) -> bool:
        # By type too: in Python, 1 equals True.
        same = (value == other for other in self.allowed if _kind(value) is _kind(other))
        return not any(same)


def one_of(*names: str) -> Rule:
    """One of some texts."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


def _is_activation(name: str) -> bool:
    import keras

    if name in ACTIVATIONS or name == "gelu_tanh":
        return True
    if name == "glu":  # halves the width
        return False
    try:
        return callable(keras.activations.get(name))
    except ValueError:
        return False


# The same function under other names. "gelu" alone is the exact (erf) form.
ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_python": "gelu",
    "gelu_erf": "gelu",
    "swish": "silu",
}

LIMIT = Rule("an integer below 2**63 in size", lambda value: abs(value) < 2**63)
Whole = Annotated[int, Rule("an integer", lambda value: True), LIMIT]
Size = Annotated[int, Rule("a positive integer", lambda value: value >= 1), LIMIT]
Count = Annotated[int, Rule("an integer of 0 or more", lambda value: value >= 0), LIMIT]
TokenId = Annotated[
    int, Rule("a token id, or -1 for that of no token", lambda value: value >= -1), LIMIT
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
def annotations(cls: type) -> dict[str, Any]:
    """The types of a config's fields, with their rules.

    A class whose annotations cannot be resolved (they name something local to a function) is
    checked as its base is.
    """
    for base in cls.__mro__:
        try:
            return typing.get_type_hints(base, include_extras=True)
        except NameError:
            continue
    return {}


def problem(annotation: Any, value: Any) -> str | None:
    """What a value must be, in words that follow "must be"; None where it is that."""
    options = _options(annotation)
    if any(_fits(option, value) for option in options):
        return None
    return " or ".join(_described(option, value) for option in options)


def plain(value: Any) -> Any:
    """A numpy number as Python's own, which json can write; other values as they are."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _kind(value: Any) -> type:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float
    return list if isinstance(value, tuple) else type(value)


def _options(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, None last."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        found = [option for part in typing.get_args(annotation) for option in _options(part)]
        return tuple(sorted(found, key=lambda option: option is type(None)))
    return (annotation,)


def _fits(annotation: Any, value: Any) -> bool:
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
    return True  # a type that this schema does not know is the family's own affair


def _is_finite(value: Any) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _described(annotation: Any, value: Any) -> str:
    """What `annotation` allows: of several rules, the first that the value breaks."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        rules = [rule for rule in arguments[1:] if isinstance(rule, Rule)]
        if problem(arguments[0], value) is None:
            rules = [rule for rule in rules if not rule.holds(value)]
        return rules[0].says if rules else _described(arguments[0], value)
    if origin is tuple:
        items = value if isinstance(value, (list, tuple)) else [None]
        wrong = next((item for item in items if problem(arguments[0], item)), None)
        return f"a list, each of it {_described(arguments[0], wrong)}"
    if annotation is type(None):
        return "null"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "an object of keys"
    return _TYPES.get(annotation, str(annotation))

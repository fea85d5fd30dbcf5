"""Decorators that add arguments to a method, mostly `__init__`, or refuse some."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_Method = Callable[..., Any]


def insert_arguments(**arguments: object) -> Callable[[_Method], _Method]:
    """Return a decorator: a method takes keyword arguments and sets them as attributes first.

    Args:
        **arguments: names and default values.

    Example:
        >>> class Named:
        ...     @insert_arguments(name="none")
        ...     def __init__(self): ...
        >>> Named(name="a").name
        'a'
    """

    def decorate(method: _Method) -> _Method:
        @functools.wraps(method)
        def call(self: object, *args: Any, **kwargs: Any) -> Any:
            for name, default in arguments.items():
                setattr(self, name, kwargs.pop(name, default))
            return method(self, *args, **kwargs)

        return call

    return decorate


def delete_arguments(*arguments: str) -> Callable[[_Method], _Method]:
    """Return a decorator: a method raises TypeError if it gets one of these keyword arguments.

    Args:
        *arguments: their names.
    """

    def decorate(method: _Method) -> _Method:
        @functools.wraps(method)
        def call(self: object, *args: Any, **kwargs: Any) -> Any:
            for name in arguments:
                if name in kwargs:
                    kind = type(self).__name__
                    raise TypeError(f"{kind} got an unexpected keyword argument {name!r}")
            return method(self, *args, **kwargs)

        return call

    return decorate

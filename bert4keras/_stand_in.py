"""A stand-in for Keras where it is not installed, so that exported tasks run without it.

Modules of tasks define Keras layers beside the code that turns texts into arrays and arrays into
answers, which is all that an exported task runs. While they are imported, `import keras` gives
`_Absent` classes: they can be subclassed and used as decorators. Afterwards nothing is left of it:
other libraries still see that Keras is missing, and code that does need Keras raises.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_importing = False


def _raise_unless_importing(cls: type) -> None:
    if not _importing:
        raise ModuleNotFoundError(
            f"{cls.__module__}.{cls.__name__} needs Keras, which is not installed: pip install "
            "keras. Without it, exported tasks answer, but nothing is built or trained."
        )


class _AbsentMeta(type):
    """Class of `_Absent`: attributes of one are others, a call returns what is decorated."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        # One class for each name, since a class cannot have the same base twice.
        value = _AbsentMeta(name, (_Absent,), {"__module__": f"{cls.__module__}.{cls.__name__}"})
        setattr(cls, name, value)
        return value

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls.__module__.partition(".")[0] != "keras":  # a subclass of ours
            return super().__call__(*args, **kwargs)
        _raise_unless_importing(cls)
        decorates = len(args) == 1 and callable(args[0]) and not kwargs
        return args[0] if decorates else lambda value: value


class _Absent(metaclass=_AbsentMeta):
    """Something of Keras; it can be named, subclassed and used as a decorator."""

    __module__ = "keras"

    def __init__(self, *args: Any, **kwargs: Any):
        _raise_unless_importing(type(self))


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finder and loader of `keras` and all its modules, whose attributes are `_Absent`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] != "keras":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        root = _AbsentMeta("keras", (_Absent,), {"__module__": "keras"})
        module.__dict__["__getattr__"] = lambda part: getattr(root, part)
        module.__dict__["__version__"] = "0"
        root.__module__ = name


@contextmanager
def keras_or_stand_in(with_keras: bool = True) -> Iterator[bool]:
    """Within the context, modules of this package can be imported without Keras.

    Args:
        with_keras: take Keras if it is installed.

    Yields:
        Whether the stand-in is used. Modules that are imported later do not find it.
    """
    global _importing
    if "keras" in sys.modules or (with_keras and importlib.util.find_spec("keras") is not None):
        yield False
        return
    finder, _importing = _Finder(), True
    sys.meta_path.insert(0, finder)
    try:
        yield True
    finally:
        _importing = False
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == "keras"]:
            del sys.modules[name]

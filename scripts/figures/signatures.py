"""Share of `Any` among the parameters of public functions."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from .source import Place, Source

CORE = ("config", "masks", "positions", "layers", "models", "checkpoints", "tokenizers", "tasks")


def parameters(source: Source) -> Iterator[tuple[int, str, str, str]]:
    """Yield (line, function, parameter, annotation) of the public functions of a module.

    Public is what has no underscore before its name, in a class that has none; `__init__` and
    `__call__` are public, functions inside functions are not. `self`, `cls`, `*args` and
    `**kwargs` do not count, nor does a parameter without annotation.
    """
    for around, node in source.functions():
        name = node.name
        if around is not None:
            if not isinstance(around, ast.ClassDef) or around.name.startswith("_"):
                continue
            name = f"{around.name}.{name}"
        if node.name.startswith("_") and node.name not in ("__init__", "__call__"):
            continue
        arguments = node.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            if argument.annotation is not None:
                yield argument.lineno, name, argument.arg, ast.unparse(argument.annotation)


def is_any(annotation: str) -> bool:
    """Return whether an annotation accepts anything: `Any`, or a union with it."""
    return "Any" in [part.strip() for part in annotation.strip("'\"").split("|")]


def untyped(sources: Iterable[Source]) -> list[Place]:
    """Return the parameters of public functions that are annotated `Any`."""
    return [
        Place("any", source.path, line, f"{function}({parameter}: {annotation})")
        for source in sources
        for line, function, parameter, annotation in parameters(source)
        if is_any(annotation)
    ]


def share(sources: Iterable[Source]) -> float:
    """Return the share of `Any` among the annotated parameters of public functions."""
    annotations = [found[-1] for source in sources for found in parameters(source)]
    return sum(map(is_any, annotations)) / max(len(annotations), 1)

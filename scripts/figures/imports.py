"""Imports of a module, and the graph of the package's parts that they make."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .source import FUNCTIONS, Source


class Import(NamedTuple):
    """An import statement's name.

    Attributes:
        line: number of the line.
        name: dotted name of what is imported, made absolute.
        at_import: whether it runs when the module is imported, not in a function.
        is_relative: whether it is written with leading dots.
    """

    line: int
    name: str
    at_import: bool
    is_relative: bool


def part_of(module: str) -> str:
    """Return the part of the package to which a dotted module name belongs; "" for the package."""
    return (module.split(".") + [""])[1]


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[Import]:
    """Yield the imports of a module, without those for the type checker only."""
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (*FUNCTIONS, ast.Lambda))
        for node in ast.walk(function)
    }
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        level = node.level if isinstance(node, ast.ImportFrom) else 0
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if level:
                parents = module.split(".")[: None if is_package else -1]
                parents = parents[: len(parents) - level + 1]
                base = ".".join([*parents, base] if base else parents)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield Import(node.lineno, name, id(node) not in inside, level > 0)


def graph(sources: Iterable[Source]) -> dict[str, set[str]]:
    """Return the parts of the package, each with the parts that it imports.

    Parts are the folders and public modules of the package. Private modules and the facades are
    left out, and so are imports in functions. The list of families belongs to `registry`, which
    reads it; `families` are the modules that it names.
    """
    found: dict[str, set[str]] = {}
    for source in sources:
        path = Path(source.path).with_suffix("")
        is_package = path.name == "__init__"
        module = ".".join(path.parts[:-1] if is_package else path.parts)
        part = _drawn(module)
        if part:
            targets = found.setdefault(part, set())
            for statement in imports(source.tree, module, is_package):
                if statement.at_import and statement.name.startswith("bert4keras."):
                    targets.add(_drawn(statement.name))
    return {part: targets & set(found) - {part} for part, targets in found.items()}


def _drawn(name: str) -> str:
    part = part_of(name)
    if part.startswith("_") or part in ("", "backend", "snippets"):
        return ""
    return "registry" if name in ("bert4keras.families", "bert4keras.families.MODULES") else part


def levels(edges: dict[str, set[str]]) -> dict[str, int]:
    """Return the row of each part, 0 at the bottom: just below the lowest part that imports it.

    Raises:
        ValueError: parts that import each other.
    """
    found: dict[str, int] = {}

    def level(part: str, above: tuple[str, ...] = ()) -> int:
        if part in above:
            raise ValueError(f"{' -> '.join([*above, part])} is a circle of imports")
        if part not in found:
            found[part] = 1 + max((level(low, (*above, part)) for low in edges[part]), default=-1)
        return found[part]

    for part in sorted(edges, key=level, reverse=True):
        above = [found[other] for other, lows in edges.items() if part in lows]
        found[part] = min(above) - 1 if above else found[part]
    return found


def reduced(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the edges that no chain of others implies."""

    def reach(part: str) -> set[str]:
        return set().union(*({low} | reach(low) for low in edges[part]))

    return {
        part: {low for low in lows if not any(low in reach(other) for other in lows - {low})}
        for part, lows in edges.items()
    }

"""Lengths of files and functions."""

from __future__ import annotations

from collections.abc import Iterable

from .source import Place, Source

MAX_FILE, MAX_FUNCTION = 400, 60


def file_lines(source: Source) -> int:
    """Return the number of lines of a file."""
    return len(source.text.splitlines())


def function_lines(source: Source) -> list[tuple[int, str, int]]:
    """Return (line, name, lines without docstring) of every function of a file."""
    docstrings = {
        id(node): (value.end_lineno or value.lineno) - value.lineno + 1
        for node, value in source.docstrings
    }
    return [
        (node.lineno, node.name, node.end_lineno - node.lineno + 1 - docstrings.get(id(node), 0))
        for _, node in source.functions()
    ]


def long_files(sources: Iterable[Source]) -> list[Place]:
    """Return the files of more than `MAX_FILE` lines."""
    lengths = ((source, file_lines(source)) for source in sources)
    return [
        Place("long-file", source.path, 1, f"{lines} lines")
        for source, lines in lengths
        if lines > MAX_FILE
    ]


def long_functions(sources: Iterable[Source]) -> list[Place]:
    """Return the functions of more than `MAX_FUNCTION` lines without their docstring."""
    return [
        Place("long-function", source.path, line, f"{name}: {lines} lines")
        for source in sources
        for line, name, lines in function_lines(source)
        if lines > MAX_FUNCTION
    ]

"""Pages of documentation: their code runs in order, and what it prints stands below it."""

from __future__ import annotations

import ast
import io
import itertools
import re
from contextlib import redirect_stdout
from pathlib import Path

NUMBER = re.compile(r"\d+\.\d+")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, source) of each block; what is printed has no language."""
    return BLOCK.findall(text)


def without_comments(block: tuple[str, str]) -> tuple[str, str]:
    """Return a block without its comments, which are in the language of the page."""
    language, source = block
    if language == "python":
        return language, ast.unparse(ast.parse(source))
    return language, re.sub(r"\s+# .*", "", source)


def run_block(source: str, place: str, names: dict) -> str:
    """Run a block with the names that those before it left, and return what it printed."""
    with redirect_stdout(io.StringIO()) as stream:
        exec(compile(source, place, "exec"), names)
    return stream.getvalue()


def run_page(path: Path) -> tuple[dict, list[tuple[str, str]]]:
    """Run the Python blocks of a page; return the names they leave, and (printed, promised)."""
    names: dict = {}
    outputs, printed = [], ""
    for number, (language, source) in enumerate(blocks(path.read_text(encoding="utf-8")), 1):
        if language == "python":
            printed = run_block(source, f"{path.name}, block {number}", names)
        elif not language:
            outputs.append((printed.rstrip("\n") + "\n", source))
    return names, outputs


def printed_and_shown(path: Path) -> list[tuple[str, str]]:
    """Run the Python blocks of a page; return what each printed, and the output after it."""
    found: list[tuple[str, str]] = []
    names: dict = {}
    pairs = [*blocks(path.read_text(encoding="utf-8")), ("", "")]
    for (language, source), (after, shown) in itertools.pairwise(pairs):
        if language == "python":
            found.append((run_block(source, path.name, names), "" if after else shown))
    return found


def alike(printed: str, promised: str) -> bool:
    """Return whether outputs are equal, numbers with a decimal point within a quarter.

    Those are probabilities after training, which differ by backend.
    """
    found, wanted = ([float(x) for x in NUMBER.findall(text)] for text in (printed, promised))
    same = NUMBER.sub("#", printed) == NUMBER.sub("#", promised)
    return same and all(abs(a - b) < 0.25 for a, b in zip(found, wanted, strict=True))

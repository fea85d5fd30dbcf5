"""Pages of documentation: their code runs in order, and what it prints stands below it."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, source) of each block; what is printed has no language."""
    return BLOCK.findall(text)


def run_page(path: Path) -> tuple[dict, list[tuple[str, str]]]:
    """Run the Python blocks of a page; return the names they leave, and (printed, promised)."""
    names: dict = {}
    outputs, printed = [], ""
    for number, (language, source) in enumerate(blocks(path.read_text(encoding="utf-8")), 1):
        if language == "python":
            with redirect_stdout(io.StringIO()) as stream:
                exec(compile(source, f"{path.name}, block {number}", "exec"), names)
            printed = stream.getvalue()
        elif not language:
            outputs.append((printed.rstrip("\n") + "\n", source))
    return names, outputs

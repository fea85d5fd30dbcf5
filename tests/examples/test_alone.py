"""Each script is independent: it imports what is installed, and takes files and a checkpoint."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.spread

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
INSTALLED = {"bert4keras", "keras", "numpy", "tokenizers", "ray", "pyspark"}
INSTALLED |= {*sys.stdlib_module_names}


def imported(source: str) -> set[str]:
    """Top-level names of all modules that a source imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_it_imports_what_is_installed(path):
    source = path.read_text(encoding="utf-8")
    assert imported(source) <= INSTALLED
    assert path.name.startswith(("basic_", "task_"))  # no module that scripts share
    assert path.name in (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert "\x1b[" not in source


def test_other_imports_are_found():
    assert imported("import common\ndef f():\n  from . import x") == {"common", "."}

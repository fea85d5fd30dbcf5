"""The package that is imported is whole: its modules, their names, what scripts take from it.

Run on the source and, by `scripts/test --installed`, on what was installed from the sdist.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import bert4keras

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(m.name for m in pkgutil.walk_packages(bert4keras.__path__, "bert4keras."))
SCRIPTS = sorted(path for part in ("examples", "scripts") for path in (ROOT / part).glob("*.py"))


def missing(source: str) -> list[str]:
    """Return the names of the package that a text imports and that do not exist."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [(node.module, alias.name) for alias in node.names]
        else:
            continue
        found += [".".join(filter(None, name)) for name in names if not exists(*name)]
    return found


def exists(module: str, name: str | None) -> bool:
    if module.split(".")[0] != "bert4keras":
        return True
    try:
        imported = importlib.import_module(module)
        return name is None or hasattr(imported, name) or exists(f"{module}.{name}", None)
    except ImportError:
        return False


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_imported_and_has_its_names(name):
    module = importlib.import_module(name)
    assert [n for n in getattr(module, "__all__", ()) if not hasattr(module, n)] == []


def test_modules_were_found():
    assert len(MODULES) > 50
    assert {"bert4keras.families.bert", "bert4keras.tasks.tagging.crf"} <= set(MODULES)


@pytest.mark.spread
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_find_what_they_import(path):
    assert missing(path.read_text(encoding="utf-8")) == []


@pytest.mark.spread
@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import bert4keras.nothing", ["bert4keras.nothing"]),
        ("def f():\n  from bert4keras.models import Nothing", ["bert4keras.models.Nothing"]),
        ("from bert4keras.nothing import X", ["bert4keras.nothing.X"]),
        ("from bert4keras.models import build, build_transformer_model\nimport other", []),
    ],
)
def test_what_is_missing_is_found(source, names):
    assert missing(source) == names

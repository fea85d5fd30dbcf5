"""The type checker accepts a correct program and reports each of several mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "tests" / "types"

if not (ROOT / "bert4keras").is_dir():  # the installed package is tested, without its sources
    pytestmark = pytest.mark.skip("the sources are not part of this tree")


def errors(path: Path) -> dict[int, str]:
    """Check a program and return the errors of each line."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stderr
    found: dict[int, str] = {}
    for name, line, text in re.findall(r"^(.+?):(\d+): error: (.*)$", done.stdout, re.MULTILINE):
        assert Path(name).name == path.name, f"{name}:{line}: {text}"
        found[int(line)] = found.get(int(line), "") + text
    return found


@pytest.mark.spread
def test_a_correct_program_passes():
    assert errors(PROGRAMS / "correct.py") == {}


@pytest.mark.spread
def test_each_mistake_is_reported():
    path = PROGRAMS / "misuses.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    wanted = {n: line.split("  # ")[1] for n, line in enumerate(lines, 1) if "  # " in line}
    found = errors(path)
    assert len(wanted) == 7
    assert found.keys() == wanted.keys()
    for line, text in wanted.items():
        assert text in found[line]

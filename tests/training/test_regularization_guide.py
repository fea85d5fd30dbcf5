"""The code of docs/guides/regularization.md runs, and its table names every technique."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bert4keras import training
from bert4keras.training.techniques import Objective, Technique

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "regularization.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    blocks = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    assert len(blocks) == 4
    for number, source in enumerate(blocks, 1):
        exec(compile(source, f"block {number}", "exec"), names)
    assert (tmp_path / "plain.keras").exists()


def test_every_technique_is_in_the_table():
    text = GUIDE.read_text(encoding="utf-8")
    kinds = [getattr(training, name) for name in training.__all__]
    kinds = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Technique)]
    assert Objective not in kinds
    assert len(kinds) == 6
    for kind in kinds:
        assert f"| `{kind.__name__}(" in text


if not GUIDE.exists():  # an sdist
    pytestmark = pytest.mark.skip("docs are not part of this tree")

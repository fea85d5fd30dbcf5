"""The examples and the guide of regularisation run, and say what they compare."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import training
from bert4keras.training.techniques import Technique

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
GUIDE = ROOT / "docs" / "guides" / "regularization.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = [
    "--limit",
    "8",
    "--eval-limit",
    "8",
    "--epochs",
    "1",
    "--maxlen",
    "16",
    "--batch-size",
    "4",
]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "examples" / script, "--model", TINY, *SMALL, *arguments]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "arguments", "names"),
    [
        ("task_classification_adversarial.py", ["--methods", "pgd", "--steps", "2"], ["PGD("]),
        ("task_classification_gradient_penalty.py", [], ["GradientPenalty("]),
        ("task_classification_rdrop.py", ["--dropout", "0.3"], ["RDrop(alpha=4.0"]),
        ("task_semi_supervised_vat.py", ["--labelled", "4"], ["VAT(epsilon=1.0"]),
    ],
)
def test_runs(script, arguments, names):
    done = run(script, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test accuracy of the most frequent training label" in done.stdout
    for name in ("plain", *names):
        assert f"test accuracy, {name}" in done.stdout


@pytest.mark.script
def test_without_unlabelled_texts():
    done = run("task_semi_supervised_vat.py", "--labelled", "8")
    assert done.returncode == 1
    assert "8 texts with a label and 0 without" in done.stderr


def test_summary(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    summary = importlib.import_module("classification").summary
    assert summary([0.5]) == "0.5000"
    assert summary([0.5, 0.7]) == "0.6000 +- 0.1414 (0.5000 0.7000)"


@pytest.mark.script
def test_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    blocks = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    assert len(blocks) == 4
    for number, source in enumerate(blocks, 1):
        exec(compile(source, f"block {number}", "exec"), names)
    assert (tmp_path / "plain.keras").exists()


def test_every_technique_is_in_the_table_of_the_guide():
    text = GUIDE.read_text(encoding="utf-8")
    kinds = [getattr(training, name) for name in training.__all__]
    kinds = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Technique)]
    assert len(kinds) == 6
    for kind in kinds:
        assert f"| `{kind.__name__}(" in text

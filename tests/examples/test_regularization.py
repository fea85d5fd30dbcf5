"""The examples of regularisation run, and say what they compare."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
SMALL = ["--limit", "8", "--epochs", "1", "--maxlen", "16", "--batch-size", "4"]


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

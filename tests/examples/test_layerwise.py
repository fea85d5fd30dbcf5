"""The example of layer-wise learning rates runs, and its rates are those that it names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "arguments"),
    [("task_layerwise_learning_rates.py", ["--limit", "8", "--epochs", "1", "--maxlen", "16"])],
)
def test_runs(script, arguments):
    command = [sys.executable, str(ROOT / "examples" / script), "--model", str(TINY), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "most frequent label" in done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines() if "decay" in line] == ["1", "0.8"]

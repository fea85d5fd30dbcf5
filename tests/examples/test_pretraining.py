"""The example of pretraining stops in its second interval and continues."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import build_transformer_model

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.script
def test_a_stopped_pretraining_continues(tmp_path):
    options = ["--steps", 6, "--batch-size", 4, "--length", 32, "--output", tmp_path / "out"]
    command = [sys.executable, "-W", "ignore", EXAMPLES / "basic_pretrain.py", *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "stopped after 4 of 6 steps\ncontinued after step 2: 2 intervals\n" in done.stdout
    assert re.search(r"^loss \d\.\d{3}, of held-out texts \d\.\d{3}$", done.stdout, re.M)
    assert build_transformer_model(str(tmp_path / "out"), with_mlm=True).load_report.loaded

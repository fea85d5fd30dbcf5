"""The script of trees, copied into an empty folder, with a small file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import tasks

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "task_on_lstm.py"


@pytest.mark.script
@pytest.mark.parametrize("own", [False, True])
def test_the_script(own, tmp_path):
    shutil.copy(EXAMPLE, tmp_path)
    command = [sys.executable, EXAMPLE.name, "--epochs", "1", "--units", "8", "--levels", "4"]
    if own:
        (tmp_path / "mine.txt").write_text("the cat sat on the mat\n" * 12, encoding="utf-8")
        command += ["--train", "mine.txt", "--parse", "the cat sat", "--save", "saved"]
    else:
        shutil.copytree(
            EXAMPLE.parent / "datasets" / "segmentation", tmp_path / "datasets/segmentation"
        )
        command += ["--limit", "64"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test: perplexity" in done.stdout
    assert ("words found" in done.stdout) is not own
    assert "└── " in done.stdout
    if own:
        task = tasks.load(tmp_path / "saved")
        assert isinstance(task, tasks.SentenceParser)
        assert task("the cat sat").brackets in done.stdout

"""Every example runs, from arguments to its last line, on a model small enough for a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
SMALL = ["--limit", "8", "--epochs", "1", "--maxlen", "16"]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("basic_extract_features.py", [], "cosine similarity"),
        ("basic_masked_language_model.py", ["--text", "a [MASK] day"], "a [MASK] day\n  "),
        ("task_sentence_classification.py", SMALL, "test accuracy"),
        ("task_sentence_similarity.py", SMALL, "test accuracy"),
    ],
)
def test_runs(script, arguments, expected):
    done = run(script, "--model", TINY, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    assert expected in done.stdout


def test_a_bad_row_is_named(tmp_path):
    path = tmp_path / "bad.tsv"
    path.write_text("fine\t1\nno label\n", encoding="utf-8")
    done = run("task_sentence_classification.py", "--model", TINY, "--train", path)
    assert done.returncode != 0
    assert "bad.tsv, line 2" in done.stderr

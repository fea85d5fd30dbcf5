"""The examples of similarity run with every option."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
SMALL = ["--model", TINY, "--limit", "8", "--eval-limit", "8", "--epochs", "1", "--maxlen", "16"]


def run(script: str, *arguments) -> str:
    command = [sys.executable, ROOT / "examples" / script, *SMALL, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.script
@pytest.mark.parametrize("pooling", ["mean", "first-last"])
def test_vectors_of_sentences(pooling):
    methods = ["before", "whitening", "cosent"] if pooling == "mean" else ["simcse"]
    out = run("task_sentence_embedding.py", "--method", *methods, "--pooling", pooling, "--dim", 4)
    for method in methods:
        assert f"test rank correlation, {method}: " in out
    assert f"nearest to 'The train did not come on time.', by {methods[-1]}:" in out


@pytest.mark.script
def test_pairs_read_as_one_text():
    methods = ["cross-encoder", "joint-cosine"]
    out = run("task_sentence_embedding.py", "--method", *methods)
    for method in methods:
        assert f"test rank correlation, {method}: " in out
    assert "nearest" not in out  # there are no vectors to search with

"""The script of questions about tables, copied to a folder, and the baselines beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
DATASETS = ROOT / "examples" / "datasets"


def run(directory: Path, script: str, *arguments) -> str:
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=directory)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.script
def test_nl2sql_runs(tmp_path):
    """With a user's files, saved and asked about the table of the first test question."""
    shutil.copy(ROOT / "examples" / "task_nl2sql.py", tmp_path)
    table = {"id": "t", "header": ["film", "story"], "rows": [["good", 2], ["bad", 0]]}
    sql = {"sel": 1, "agg": 0, "conds": [[0, 0, "good"]]}
    row = {"table_id": "t", "question": "the story of good", "sql": sql}
    (tmp_path / "mine.jsonl").write_text("\n".join([json.dumps(row)] * 20), encoding="utf-8")
    (tmp_path / "mine.tables.jsonl").write_text(json.dumps(table), encoding="utf-8")
    (tmp_path / "asked.txt").write_text("good ?\n", encoding="utf-8")
    options = ["--train", "mine.jsonl", "--epochs", 1, "--save", "saved", "--predict", "asked.txt"]
    out = run(tmp_path, "task_nl2sql.py", *options, "--checkpoint", TINY, "--maxlen", 40)
    assert "16, 2 and 2 questions" in out
    assert "test: {'logical_form': " in out
    assert out.splitlines()[-1].startswith("SELECT ")
    assert (tmp_path / "saved" / "task.json").exists()


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "files", "expected"),
    [
        ("relation_baseline.py", "relations/{}.json", "F1 0.1232"),
        ("table_baseline.py", "tables/{}.jsonl", "logical_form 0.1625"),
    ],
)
def test_baselines(script, files, expected):
    paths = [DATASETS / files.format(name) for name in ("train", "test")]
    assert expected in run(ROOT, f"scripts/experiments/{script}", *paths)

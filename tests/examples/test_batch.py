"""The examples of batch engines: each in an empty folder, on a user's file."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import tasks
from bert4keras.tasks.answers import to_json
from helpers.engines import ENVIRONMENT, texts
from helpers.task_table import build

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

needs_spark = pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None, reason="pyspark is absent: pip install pyspark"
)
needs_java = pytest.mark.skipif(
    shutil.which("java") is None, reason="Spark needs Java 17 or later, and there is no `java`"
)


def run(directory: Path, script: str, *arguments: object) -> str:
    """Run a copy of a script in a folder that has nothing else of the examples."""
    shutil.copy(EXAMPLES / script, directory)
    command = [sys.executable, "-W", "ignore", script, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=400, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def rows_of(directory: Path) -> list[dict]:
    """All rows of a directory of Parquet files."""
    from pyarrow import parquet

    return [
        row for path in directory.glob("*.parquet") for row in parquet.read_table(path).to_pylist()
    ]


@pytest.mark.script
def test_ray(tmp_path):
    """Columns of a CSV file, one of them empty, and parts of the answers as columns."""
    task = build("TextClassifier", "bert")
    task.save(tmp_path / "saved")
    samples = texts(task.tokenizer, 60)
    with open(tmp_path / "mine.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "title"), *enumerate(samples), (60, "")])
    options = ["--task", tmp_path / "saved", "--texts", "mine.csv", "--column", "title"]
    options += ["--fields", "label", "score", "--workers", 1, "--batch-size", 8, "--out", "found"]
    printed = run(tmp_path, "basic_batch_ray.py", *options)
    assert re.match(r"61 answers, 1 errors, \d+\.\d s\n", printed)
    rows = sorted(rows_of(tmp_path / "found"), key=lambda row: row["id"])
    assert [set(row) for row in rows] == [{"id", "title", "label", "score", "error"}] * 61
    failed = rows.pop()
    assert (failed["label"], failed["score"]) == (None, None)
    assert "expected a text" in failed["error"] or "is empty" in failed["error"]
    expected = task.predict(samples)
    assert [row["title"] for row in rows] == samples
    assert [row["score"] for row in rows] == pytest.approx([x.score for x in expected], abs=1e-5)
    assert [row["label"] for row in rows] == [x.label for x in expected]


@pytest.mark.script
@needs_spark
@needs_java
def test_spark(tmp_path):
    """Both functions: `mapInPandas` over a thousand lines, and the function in SQL."""
    build("TextClassifier", "bert").save(tmp_path / "saved")
    task = tasks.load(tmp_path / "saved")
    samples = list(dict.fromkeys(texts(task.tokenizer, 1000)))
    (tmp_path / "mine.txt").write_text("\n\n".join(samples), encoding="utf-8")
    options = ["--task", tmp_path / "saved", "--texts", "mine.txt", "--out", "found"]
    printed = run(tmp_path, "basic_batch_spark.py", *options)
    assert f"{len(samples)} answers, 0 errors, " in printed
    rows = {row["text"]: row for row in rows_of(tmp_path / "found")}
    assert len(rows) == len(samples)
    expected = dict(zip(samples, to_json(task.predict(samples)), strict=True))
    off = [
        abs(json.loads(rows[text]["answer"])["scores"][label] - score)
        for text, one in expected.items()
        for label, score in one["scores"].items()
    ]
    assert max(off) < 1e-5
    assert {row["error"] for row in rows.values()} == {None}
    assert printed.count('{"label": "') == 6  # the first of the frame, and those of SQL

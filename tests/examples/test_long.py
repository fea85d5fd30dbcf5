"""The example of long documents: on the shipped messages and on a user's file."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import tasks
from bert4keras.layers import AttentionMask
from bert4keras.masks import Window

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = EXAMPLES / "task_long_document.py"
TINY = EXAMPLES.parent / "tests" / "fixtures" / "bert_gelu"


def run(directory: Path, *arguments, code: int = 0) -> str:
    """Run a copy of the script in a folder; return its output, or its error."""
    shutil.copy(SCRIPT, directory)
    command = [sys.executable, SCRIPT.name, "--epochs", 1, *arguments]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=300, cwd=directory
    )
    assert done.returncode == code, done.stderr[-2000:]
    return done.stderr if code else done.stdout


def write(path: Path, words: int) -> Path:
    """Write texts of so many words, of which one near the end is the label."""
    rows = [
        f"{'some words of no weight ' * (words // 5)} {label} {'more ' * (n % 5)}\t{label}\n"
        for n in range(10)
        for label in ("good", "bad")
    ]
    path.write_text("text\tlabel\n" + "".join(rows), encoding="utf-8")
    return path


@pytest.mark.script
def test_long_texts_of_ones_own(tmp_path):
    """All tokens of a text are one row, and the saved model keeps its window."""
    train = write(tmp_path / "mine.tsv", 600)
    options = ["--train", train, "--maxlen", 700, "--window", 5, "--save", "saved"]
    printed = run(tmp_path, *options)
    assert re.search(r"^16 texts of 6\d\d to 6\d\d tokens, labels: bad, good$", printed, re.M)
    assert re.search(r"^test: \{'accuracy': \d", printed, re.M)
    assert len(re.findall(r"; right is (good|bad)$", printed, re.M)) == 2  # a tenth of 20
    task = tasks.load(tmp_path / "saved")
    assert (task.labels, task.maxlen) == (["bad", "good"], 700)
    masks = [layer.strategy for layer in task.model.layers if isinstance(layer, AttentionMask)]
    assert masks == [Window(5)]
    text = train.read_text(encoding="utf-8").splitlines()[1].split("\t")[0]
    assert len(task.encode(text).rows) == 1
    padded = task([text, text + " more" * 40])[0]
    assert padded.score == pytest.approx(task(text).score, abs=1e-5)  # padding is not the largest


@pytest.mark.script
def test_the_shipped_messages_and_a_checkpoint(tmp_path):
    datasets = tmp_path / "datasets"
    shutil.copytree(EXAMPLES / "datasets" / "topics", datasets / "topics")
    printed = run(tmp_path, "--checkpoint", TINY, "--limit", 8, "--maxlen", 32)
    assert re.search(r"^8 texts of \d{3,} to \d{3,} tokens, labels: ", printed, re.M)
    assert len(re.findall(r"; right is (health|money|school|work)$", printed, re.M)) == 3


@pytest.mark.script
def test_too_few_positions_are_an_error(tmp_path):
    train = write(tmp_path / "mine.tsv", 20)
    error = run(tmp_path, "--train", train, "--checkpoint", TINY, code=1)
    assert re.search(r"maxlen=1024 is more than the \d+ positions of the encoder", error)


@pytest.mark.spread
def test_its_length_and_header():
    source = SCRIPT.read_text(encoding="utf-8")
    assert 40 <= len(source.splitlines()) <= 90
    assert "Seen: test accuracy 0." in ast.get_docstring(ast.parse(source))

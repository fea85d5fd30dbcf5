"""Every example runs, from arguments to its last line, on a model small enough for a test."""

from __future__ import annotations

import importlib.util
import lzma
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
SMALL = ["--limit", "8", "--eval-limit", "8", "--epochs", "1", "--maxlen", "16"]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("task_sentence_similarity.py", SMALL, "test accuracy after training"),
    ],
)
def test_runs(script, arguments, expected):
    done = run(script, "--model", TINY, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    assert expected in done.stdout


FEW = ["--limit", "30", "--eval-limit", "8", "--epochs", "1"]


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        (
            "basic_gibbs_sampling_via_mlm.py",
            ["--model", TINY, "--sweeps", "1", "--tokens", "4"],
            "sweeps: 1; on average -",
        ),
    ],
)
def test_language_models_run(script, arguments, expected):
    done = run(script, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    assert expected in done.stdout


@pytest.mark.script
def test_graded_pairs_in_other_columns(tmp_path):
    """A file in the layout of STS-B, compressed; extra columns do not matter."""
    path = tmp_path / "pairs.tsv.xz"
    lines = ["id\tscore\tfirst\tsecond"]
    lines += [f"{i}\t{i % 6 * 0.9:.1f}\tword {i}\tword {i % 4}\tsource" for i in range(12)]
    path.write_bytes(lzma.compress("\n".join(lines).encode()))
    files = [part for split in ("train", "valid", "test") for part in (f"--{split}", path)]
    columns = ["--columns", 2, 3, 1]
    done = run("task_sentence_similarity.py", "--model", TINY, *SMALL, *files, *columns)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test rank correlation before training" in done.stdout
    assert "test rank correlation after training" in done.stdout


@pytest.fixture(scope="module")
def common():
    """The module that the examples share."""
    spec = importlib.util.spec_from_file_location("common", ROOT / "examples" / "common.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"fine\t1\nno label\n", r"bad\.tsv, line 2: .*\['no label'\]"),
        (b"text\tlabel\n\nfine\t1\nbad\t0.5\n", r"line 4: .*label of type int"),
        (b"fine\t1\nfine\t1\textra\n", r"line 2: expected 1 text"),
        (b"text\tlabel\n", "no rows"),
        (b"", "no rows"),
        (b"caf\xe9\t1\n", r"line 1: byte 0xe9 is not UTF-8.*iconv"),
        (None, "cannot be read: .*No such file"),
    ],
)
def test_a_bad_file_is_named(common, tmp_path, content, message):
    path = tmp_path / "bad.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match=message):
        common.read_tsv(path, (0, 1))


def test_rows_of_a_file(common, tmp_path):
    path = tmp_path / "good.tsv"
    path.write_text('text\tlabel\n "a" \t1\nb\t0\nc\t2\n', encoding="utf-8")
    assert common.read_tsv(path, (0, 1)) == [('"a"', 1), ("b", 0), ("c", 2)]
    assert common.read_tsv(path, (0, 1), limit=1, number=float) == [('"a"', 1.0)]


def test_threshold(monkeypatch):
    """By brute force."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    similarity = importlib.import_module("task_sentence_similarity")
    rng = np.random.default_rng(0)
    for size in range(1, 9):
        cosines, same = rng.uniform(-1, 1, size), rng.random(size) < 0.5
        threshold = similarity.best_threshold(cosines, same)
        best = max(np.mean((cosines >= cut) == same) for cut in [*cosines, 1.0])
        assert np.mean((cosines >= threshold) == same) == best

"""Every example runs, from arguments to its last line, on a model small enough for a test."""

from __future__ import annotations

import importlib.util
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
        ("basic_extract_features.py", [], "cosine similarity"),
        ("basic_masked_language_model.py", ["--text", "a [MASK] day"], "a [MASK] day\n  "),
        ("task_sentence_classification.py", SMALL, "test accuracy"),
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


class Conditionals:
    """A masked language model whose answers are the conditionals of a known joint of two bits."""

    inputs = (None, None)
    joint = np.array([[0.4, 0.1], [0.2, 0.3]])  # of tokens 3 and 4 at two places

    def predict_on_batch(self, inputs):
        ids = inputs[0]
        out = np.full((*ids.shape, 5), 1e-30)
        for row, place in zip(*np.nonzero(ids == 2), strict=True):
            given = self.joint if place == 2 else self.joint.T
            chances = given[ids[row, 3 - place] - 3]
            out[row, place, 3:] = chances / chances.sum()
        return out


def test_gibbs_sampling_draws_from_the_joint(monkeypatch):
    """And the pseudo-log-likelihood is that of the table, by hand."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    gibbs = importlib.import_module("basic_gibbs_sampling_via_mlm")
    rng, allowed = np.random.default_rng(0), np.array([3, 4])
    ids = np.array([[0, 3, 3, 1]] * 20000)
    found = gibbs.pseudo_log_likelihood(Conditionals(), np.array([[0, 4, 3, 1]]), 2)
    assert abs(found[0] - (np.log(0.2 / 0.6) + np.log(0.2 / 0.5)) / 2) < 1e-12
    for _ in range(10):
        ids = gibbs.sweep(Conditionals(), ids, 2, allowed, rng, temperature=1.0)
    shares = np.bincount((ids[:, 1] - 3) * 2 + ids[:, 2] - 3, minlength=4) / len(ids)
    # Four standard errors; the start, and a sampler that ignores the other token, are far off.
    assert np.abs(shares - Conditionals.joint.ravel()).max() < 4 * 0.5 / len(ids) ** 0.5
    assert (ids[:, [0, 3]] == [0, 1]).all()


@pytest.mark.script
def test_word_problems_of_one_file(tmp_path):
    """A tenth each becomes the others; a problem that is too long is left out."""
    path = tmp_path / "problems.tsv"
    rows = [f"{i}个加{i + 9}个是几个？\t{i}+{i + 9}\t{2 * i + 9}\n" for i in range(1, 31)]
    path.write_text("".join([*rows, f"1个加2个{'是' * 16}几个？\t1+2\t3\n"]), encoding="utf-8")
    done = run("task_math_word_problem.py", "--train", path, "--epochs", 1, "--maxlen", 16)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "problems.tsv: 30 of 31 rows" in done.stdout
    assert "test: right values by the usual equation 1.0000" in done.stdout
    assert "test: right values by BeamSearch" in done.stdout


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


@pytest.mark.script
def test_a_bad_argument_ends_in_one_line(tmp_path):
    done = run("task_sentence_classification.py", "--model", TINY, "--train", tmp_path / "no.tsv")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"{tmp_path / 'no.tsv'} cannot be read")


def test_an_absent_default_model_is_named(common, tmp_path, monkeypatch):
    monkeypatch.setenv("BERT4KERAS_MINILM", str(tmp_path))
    with pytest.raises(SystemExit, match=r"lacks config\.json.*--model"):
        common.default_model()

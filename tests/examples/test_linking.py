"""The examples of entity linking, copied to an empty folder, on small files; the shipped data."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import tasks

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TINY = EXAMPLES.parent / "tests" / "fixtures" / "bert_gelu"
DATA = EXAMPLES / "datasets" / "knowledge_base"
SMALL = ["--epochs", 1, "--maxlen", 30, "--description", 12]
CITY = {"id": "7", "name": "北京", "names": ["北京", "京"], "facts": [["kind", "city"]]}
SONG = {"id": "8", "name": "《北京》", "names": ["北京"]}
TEXT = {"text": "我爱北京", "links": [{"start": 2, "end": 4, "entity": "7"}]}
CONLL = "-DOCSTART- -X- O O\n\nnot NN\n\na bad film NN\nin NN\n"


def write(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(script: str, directory: Path, *arguments) -> str:
    """Run a copy of a script that has nothing beside it."""
    alone = directory / "alone"
    alone.mkdir()
    shutil.copy(EXAMPLES / script, alone)
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, cwd=alone, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def files(tmp_path) -> list:
    """Options that name a user's files, a text to predict on, and a place for the linker."""
    write(tmp_path / "kb.jsonl", CITY, SONG)
    write(tmp_path / "train.jsonl", *[TEXT] * 10, {"text": "没有名字", "links": []})
    (tmp_path / "texts.txt").write_text("北京大\n", encoding="utf-8")
    names = {"kb": "kb.jsonl", "train": "train.jsonl", "predict": "texts.txt", "save": "saved"}
    return [part for key, name in names.items() for part in (f"--{key}", tmp_path / name)]


@pytest.mark.script
def test_ranking_with_files_of_ones_own(tmp_path, files):
    out = run("task_entity_linking.py", tmp_path, "--checkpoint", TINY, *SMALL, *files)
    assert "test: f1 " in out
    (predicted,) = json.loads(out.splitlines()[-1])
    assert (predicted["start"], predicted["end"], predicted["text"]) == (0, 2, "北京")
    assert tasks.load(tmp_path / "saved")("北京")[0].candidates.keys() == {"7", "8"}


@pytest.mark.script
def test_ranking_on_aida(tmp_path):
    """Documents with given mentions that have priors and always an entity."""
    mention = {"span": [1, 2, 3], "gold": "film", "cands": [["story", 3, 1], ["film", 1, 1]]}
    rows = [
        {"doc": k, "split": part, "mentions": [mention]}
        for k, part in enumerate(("train", "testa", "testb"), 1)
    ]
    write(tmp_path / "aida.jsonl", *rows)
    for part in ("train", "testa", "testb"):
        text = CONLL.replace("a bad film NN", "a NN\nbad NN\nfilm NN")
        (tmp_path / f"eng.{part}").write_text(text, encoding="utf-8")
    arguments = ["--aida", tmp_path / "aida.jsonl", "--conll", tmp_path, "--checkpoint", TINY]
    out = run("task_entity_linking.py", tmp_path, *arguments, *SMALL)
    assert "test: f1 " in out
    assert "a bad film in" in out


@pytest.mark.script
def test_the_lstms_with_files_of_ones_own_and_word_vectors(tmp_path, files):
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("2 2\n北京 0.5 1\n爱 1 -1\n", encoding="utf-8")
    small = [*SMALL, "--rare", 1, "--units", 4, "--batch-size", 4]
    out = run("task_entity_linking_2019.py", tmp_path, *small, "--vectors", vectors, *files)
    assert "test: f1 " in out
    assert json.loads(out.splitlines()[-1]) is not None
    assert tasks.load(tmp_path / "saved").words.words == ["北京", "爱"]


@pytest.mark.spread
def test_sizes_and_that_no_line_occurs_twice():
    lines = []
    for name, size in {"train": 700, "valid": 100, "test": 200, "kb": 184}.items():
        made = (DATA / f"{name}.jsonl").read_bytes()
        assert made.count(b"\n") == size
        lines += made.decode("utf-8").splitlines()
    assert len(set(lines)) == len(lines)

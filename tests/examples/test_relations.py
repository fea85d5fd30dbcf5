"""The data of relation extraction and of topics, and the scripts that use them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras.tasks.relations import read_relations

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TINY = EXAMPLES.parent / "tests" / "fixtures" / "bert_gelu"
SIZES = {
    "relations": {"train.json": 700, "valid.json": 80, "test.json": 120},
    "topics": {"train.tsv": 400, "valid.tsv": 80, "test.tsv": 160},
}


def lines_of(name: str, file: str) -> list[str]:
    return (EXAMPLES / "datasets" / name / file).read_text(encoding="utf-8").splitlines()


@pytest.mark.spread
@pytest.mark.parametrize("name", SIZES)
def test_no_text_occurs_twice(name):
    assert {file: len(lines_of(name, file)) for file in SIZES[name]} == SIZES[name]
    lines = [line for file in SIZES[name] for line in lines_of(name, file)]
    text = (lambda row: json.loads(row)["text"]) if name == "relations" else str
    texts = [text(line).split("\t")[0] for line in lines]
    assert len(set(texts)) == len(texts)


@pytest.mark.spread
def test_relations_of_the_data():
    """All names stand in their texts; many are new, relations are not; some sentences have none."""
    splits = {
        f[:-5]: read_relations(EXAMPLES / "datasets" / "relations" / f) for f in SIZES["relations"]
    }
    names = {split: set() for split in splits}
    for split, rows in splits.items():
        for text, triples in rows:
            assert len(set(triples)) == len(triples)
            assert all(s in text and o in text for s, _, o in triples)
            names[split] |= {name for s, _, o in triples for name in (s, o)}
        assert 0.05 < sum(not triples for _, triples in rows) / len(rows) < 0.3
        assert sum(len(triples) > 1 for _, triples in rows) > 0.3 * len(rows)
    assert len(names["test"] - names["train"]) > 0.3 * len(names["test"])
    relations = [{r for _, triples in rows for _, r, _ in triples} for rows in splits.values()]
    assert relations[1] <= relations[0] >= relations[2]
    assert len(relations[0]) == 11


@pytest.mark.script
@pytest.mark.parametrize("head", ["casrel", "gplinker"])
def test_relation_extraction_runs(head, tmp_path):
    """Copied to another folder, with a user's files, saved and used on a text."""
    script = f"task_relation_extraction_{head}.py"
    shutil.copy(EXAMPLES / script, tmp_path)
    rows = [{"text": f"a b {i}", "triple_list": [["a", "r", "b"]]} for i in range(20)]
    (tmp_path / "mine.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "texts.txt").write_text("a b\n", encoding="utf-8")
    options = ["--train", "mine.json", "--epochs", 1, "--save", "saved", "--predict", "texts.txt"]
    out = run_in(tmp_path, script, *options, "--checkpoint", TINY, "--maxlen", 16)
    assert "16, 2 and 2 texts, 1 predicates" in out
    assert "test: {'f1': " in out
    assert out.splitlines()[-1].startswith('{"text": "a b", "triples": [')
    assert (tmp_path / "saved" / "task.json").exists()
    # The shipped data, where it is not copied.
    out = run_in(EXAMPLES, script, "--limit", 10, "--epochs", 1, "--random-weights")
    assert "10, 80 and 120 texts" in out


def run_in(directory: Path, script: str, *arguments) -> str:
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=directory)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout

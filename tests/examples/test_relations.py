"""The data of relation extraction and of topics, and the scripts that use them."""

from __future__ import annotations

import importlib
import json
import lzma
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TINY = EXAMPLES.parent / "tests" / "fixtures" / "bert_gelu"
SIZES = {
    "relations": {"train.json": 700, "valid.json": 80, "test.json": 120},
    "topics": {"train.tsv": 400, "valid.tsv": 80, "test.tsv": 160},
}
SMALL = ["--limit", "10", "--eval-limit", "10", "--epochs", "1"]


@pytest.fixture
def example(monkeypatch):
    """Imports a module of the examples."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


def lines_of(name: str, file: str) -> list[str]:
    return (EXAMPLES / "datasets" / name / file).read_text(encoding="utf-8").splitlines()


def run(script: str, *arguments) -> str:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("name", SIZES)
def test_the_files_are_what_the_script_makes(name, tmp_path):
    script = EXAMPLES / "datasets" / name / "generate.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, timeout=60)
    for file, size in SIZES[name].items():
        made = (tmp_path / file).read_bytes()
        assert made == (EXAMPLES / "datasets" / name / file).read_bytes()
        assert made.count(b"\n") == size


@pytest.mark.parametrize("name", SIZES)
def test_no_text_occurs_twice(name):
    lines = [line for file in SIZES[name] for line in lines_of(name, file)]
    text = (lambda row: json.loads(row)["text"]) if name == "relations" else str
    texts = [text(line).split("\t")[0] for line in lines]
    assert len(set(texts)) == len(texts)


def test_relations_of_the_data(example):
    """All names stand in their texts; many are new, relations are not; some sentences have none."""
    read = example("relations").read
    splits = {f[:-5]: read(EXAMPLES / "datasets" / "relations" / f) for f in SIZES["relations"]}
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


def test_topics_of_the_data(example):
    """A quarter of the clauses is not in the training text."""
    read = example("task_multilabel_classification").read
    rows = {f: read(EXAMPLES / "datasets" / "topics" / f) for f in SIZES["topics"]}
    names = {label for _, labels in rows["train.tsv"] for label in labels}
    assert len(names) == 12
    counts = np.bincount([len(labels) for _, labels in rows["test.tsv"]])
    assert len(counts) == 4
    assert (counts > 8).all()
    parts = {
        f: {part.split()[-1] for text, _ in some for part in text.strip(".").split(", ")}
        for f, some in rows.items()
    }
    assert len(parts["test.tsv"] - parts["train.tsv"]) > 5


def test_formats(example, tmp_path):
    read = example("relations").read
    webnlg = [{"text": "A b C", "triple_list": [["A", "r", "C"]]}, {"text": "D", "triple_list": []}]
    (tmp_path / "a.json.xz").write_bytes(lzma.compress(json.dumps(webnlg).encode()))
    assert read(tmp_path / "a.json.xz") == [("A b C", [("A", "r", "C")]), ("D", [])]
    assert len(read(tmp_path / "a.json.xz", limit=1)) == 1
    item = {"predicate": "p", "subject": "A"}
    duie = [
        {"text": "A b C", "spo_list": [{**item, "object": "C"}]},
        {"text": "A b C", "spo_list": [{**item, "object": {"@value": "C", "slot": "b", "no": ""}}]},
    ]
    (tmp_path / "b.json").write_text("\n".join(map(json.dumps, duie)), encoding="utf-8")
    first, second = read(tmp_path / "b.json")
    assert first.triples == [("A", "p", "C")]
    assert second.triples == [("A", "p", "C"), ("A", "p_slot", "b")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a"}]', r"bad\.json, row 1: expected text and triple_list or spo_list"),
        ('[{"text": "a", "triple_list": [["a", "b"]]}]', "row 1"),
        ('{"text": "a", "spo_list": []}\n[1]', "line 2: expected a JSON object"),
        ("not json", "line 1: no JSON"),
        ("[]", "has no rows"),
        (None, "cannot be read: .*No such file"),
    ],
)
def test_a_bad_file_is_named(example, tmp_path, content, message):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=message):
        example("relations").read(path)


def test_dictionary(example):
    """By hand: a pair of training, a pair put together from others, and a name within a word."""
    relations = example("relations")
    train = [
        relations.Sample("", [("Rome", "in", "Italy"), ("Rome", "of", "Caesar")]),
        relations.Sample("", [("Oslo", "in", "Norway"), ("罗马", "在", "意大利")]),
    ]
    texts = ["Rome , Italy", "Oslo and Italy", "Romeo in Italy", "罗马在意大利", ""]
    assert relations.dictionary(train, texts) == [
        [("Rome", "in", "Italy")],
        [("Oslo", "in", "Italy")],
        [],
        [("罗马", "在", "意大利")],
        [],
    ]


@pytest.mark.script
@pytest.mark.parametrize("script", ["casrel", "gplinker"])
def test_relation_extraction_runs(script, tmp_path):
    """On the shipped data, and the English format with a checkpoint."""
    out = run(f"task_relation_extraction_{script}.py", *SMALL)
    assert "triples are in the first 64 tokens" in out
    assert "test: model: precision" in out
    rows = [{"text": f"a b {i}", "triple_list": [["a", "r", "b"]]} for i in range(20)]
    (tmp_path / "train.json").write_text(json.dumps(rows), encoding="utf-8")
    files = ["--train", tmp_path / "train.json", "--model", TINY, "--maxlen", 16]
    out = run(f"task_relation_extraction_{script}.py", *SMALL, *files)
    assert "test: dictionary: precision 1.0000, recall 1.0000, F1 1.0000" in out


@pytest.mark.script
def test_multilabel_classification_runs():
    small = [*SMALL, "--maxlen", 16, "--model", TINY]
    objectives = ["dense", "sparse"]
    out = run("task_multilabel_classification.py", *small, "--objectives", *objectives)
    assert "for all: " in out
    found = {line.split()[3]: line.split()[4] for line in out.splitlines() if "F1 with" in line}
    assert list(found) == [f"{name}:" for name in objectives]
    assert found["dense:"] == found["sparse:"]


def test_labels_of_a_text(example):
    encoded = example("task_multilabel_classification").encoded
    names = ["a", "b", "c"]
    assert encoded(["c", "a", "?"], names, "dense", 0.1, 3).tolist() == [1, 0, 1]
    assert encoded(["c", "a"], names, "sparse", 0.1, 3).tolist() == [2, 0, -1]
    np.testing.assert_allclose(encoded(["c"], names, "soft", 0.1, 3), [0.05, 0.05, 0.95])


def test_a_bad_row_of_topics_is_named(example, tmp_path):
    path = tmp_path / "bad.tsv"
    path.write_text("fine\ta, b\nno labels\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"bad\.tsv, line 2: expected text<TAB>label"):
        example("task_multilabel_classification").read(path)
    path.write_text("fine\ta, b\nnone\t\n", encoding="utf-8")
    assert example("task_multilabel_classification").read(path)[1] == ("none", [])

"""The scripts of entities and words, each copied to an empty folder, and their data."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import tasks
from bert4keras.tasks.tagging import read_entities

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TINY = EXAMPLES.parent / "tests" / "fixtures" / "bert_gelu"
SIZES = {"train": 800, "valid": 100, "test": 150}
ENTITIES, WORDS = (EXAMPLES / "datasets" / name for name in ("entities", "segmentation"))
FEW = ["--epochs", "1", "--batch-size", "8", "--maxlen", "24"]
JSON = "".join(
    json.dumps({"text": f"我爱北京{'好' * n}", "entities": [[2, 4, "地名"]]}) + "\n"
    for n in range(20)
)
COLUMNS = "U.N. NNP I-ORG\nofficial NN O\nEkeus NNP I-PER\n\n" * 20


@pytest.mark.spread
@pytest.mark.parametrize(("directory", "suffix"), [(ENTITIES, "json"), (WORDS, "txt")])
def test_sizes_and_that_no_text_occurs_twice(directory, suffix):
    texts = []
    for split, size in SIZES.items():
        made = (directory / f"{split}.{suffix}").read_bytes()
        texts += made.decode("utf-8").splitlines()
        assert len(made.splitlines()) == size
    assert len(set(texts)) == len(texts)


@pytest.mark.spread
def test_half_of_the_names_are_new():
    """And what is marked is a name, not something around it."""
    rows = {split: read_entities(ENTITIES / f"{split}.json") for split in SIZES}
    names = {
        split: [r.text[e.start : e.end] for r in some for e in r.entities]
        for split, some in rows.items()
    }
    for split in ("valid", "test"):
        new = sum(name not in names["train"] for name in names[split]) / len(names[split])
        assert 0.4 < new < 0.75
    assert all(set(name).isdisjoint("，。、：的") for some in names.values() for name in some)
    assert {e.label for r in rows["test"] for e in r.entities} == {"人名", "地名", "机构"}


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "content", "arguments", "head"),
    [
        ("task_ner_crf", COLUMNS, ["--checkpoint", TINY, "--scheme", "BIOES"], "crf"),
        ("task_ner_memm", JSON, ["--random-weights"], "bi-memm"),
        (
            "task_ner_global_pointer",
            JSON,
            ["--efficient", "--random-weights"],
            "efficient-global-pointer",
        ),
        ("task_cws_crf", "我 爱 北京\n北京 很 好\n" * 20, ["--random-weights"], "crf"),
    ],
)
def test_runs_on_a_file_of_ones_own(tmp_path, script, content, arguments, head):
    shutil.copy(EXAMPLES / f"{script}.py", tmp_path)
    (tmp_path / "mine.txt").write_text(content, encoding="utf-8")
    (tmp_path / "texts.txt").write_text("我爱北京\nU.N.\n", encoding="utf-8")
    files = ["--train", "mine.txt", "--predict", "texts.txt", "--save", "saved"]
    command = [sys.executable, f"{script}.py", *files, *FEW, *map(str, arguments)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test f1 0." in done.stdout or "test f1 1." in done.stdout
    first = json.loads(done.stdout.splitlines()[-2])
    assert isinstance(first, list) or first["text"] == "我爱北京"
    task = tasks.load(tmp_path / "saved")
    assert task.head == head
    assert isinstance(task("我爱北京"), list)

"""The data of reading comprehension, how files are read, and the scripts that write answers."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import lzma
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DATA = EXAMPLES / "datasets" / "reading"
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
SIZES = {"train": 400, "valid": 60, "test": 100}


@pytest.fixture
def example(monkeypatch):
    """Imports a module of the examples."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


def paragraphs(split: str) -> list[dict]:
    content = json.loads((DATA / f"{split}.json").read_text(encoding="utf-8"))
    assert content["version"] == "v2.0"
    return [part for article in content["data"] for part in article["paragraphs"]]


def test_the_files_are_what_the_script_makes(tmp_path):
    command = [sys.executable, str(DATA / "generate.py"), str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    for split in SIZES:
        made = (tmp_path / f"{split}.json").read_bytes()
        assert made == (DATA / f"{split}.json").read_bytes()


def test_passages_and_questions():
    seen, ids = set(), set()
    for split, size in SIZES.items():
        parts = paragraphs(split)
        assert len(parts) == size
        asked = [(part["context"], question) for part in parts for question in part["qas"]]
        impossible = [question["is_impossible"] for _, question in asked]
        assert 0.08 < sum(impossible) / len(impossible) < 0.2
        for context, question in asked:
            assert question["is_impossible"] == (not question["answers"])
            for answer in question["answers"]:
                assert answer["text"]
                assert context.startswith(answer["text"], answer["answer_start"])
        for part in parts:
            assert 60 <= len(part["context"]) <= 150
            assert 2 <= len(part["qas"]) <= 4
            assert len({question["question"] for question in part["qas"]}) == len(part["qas"])
        contexts = {part["context"] for part in parts}
        assert len(contexts) == size
        assert not contexts & seen
        seen |= contexts
        names = {question["id"] for _, question in asked}
        assert len(names) == len(asked)
        assert not names & ids
        ids |= names


def test_names_of_a_split_are_in_no_other():
    """Of works and firms, which can be told by their marks."""
    found = {}
    for split in SIZES:
        text = "".join(part["context"] for part in paragraphs(split))
        found[split] = set(re.findall("《.{3}》|..(?:电子|食品|机械|纺织|医药)公司", text))
        assert len(found[split]) > 50
    for first, second in itertools.combinations(found.values(), 2):
        assert not first & second


def test_most_passages_have_several_values_of_a_kind():
    """So that it takes the question to choose: years, say."""
    years = [len(set(re.findall(r"\d{4}年", part["context"]))) for part in paragraphs("train")]
    assert sum(count > 1 for count in years) > 0.4 * len(years)


def squad(*asked, context="甲乙丙丁乙丙") -> dict:
    return {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(asked)}]}]}


def question(*answers, **more) -> dict:
    answers = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": "q", "question": "谁？", "answers": answers, **more}


@pytest.mark.parametrize("packed", [False, True])
def test_answers_are_found_where_they_stand(example, tmp_path, capsys, packed):
    reading = example("reading")
    asked = [
        question(("乙丙", 1), ("乙丙", 1), ("丁", 3)),
        question(("乙丙", 3)),
        question(("乙丙", -7)),
        question((" 丙 ", 1)),
        question(("戊", 0)),
        question(is_impossible=True),
    ]
    path = tmp_path / ("a.json.xz" if packed else "a.json")
    raw = json.dumps(squad(*asked), ensure_ascii=False).encode()
    path.write_bytes(lzma.compress(raw) if packed else raw)
    rows = reading.read(path)
    assert [row.starts for row in rows] == [(1, 3), (4,), (1,), (2,), (-1,), ()]
    assert [row.answers for row in rows][3:] == [("丙",), ("戊",), ()]
    assert [row.spans for row in rows] == [[(1, 3), (3, 4)], [(4, 6)], [(1, 3)], [(2, 3)], [], []]
    assert [row.target for row in rows] == ["乙丙", "乙丙", "乙丙", "丙", None, ""]
    assert "2 answers stand elsewhere than said, 1 nowhere" in capsys.readouterr().out
    assert len(reading.read(path, limit=2)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"bad\.json, line 1: no JSON"),
        ("[1]", r"bad\.json, the whole: not the format"),
        ('{"data": [{}]}', r"data\[0\]: .*no 'paragraphs'"),
        (json.dumps(squad({"id": "1"})), r"data\[0\]\.paragraphs\[0\]\.qas\[0\]: .*no 'answers'"),
        (json.dumps(squad(question(("a", "1")))), r"qas\[0\]: .*answer_start is '1'"),
        (json.dumps(squad(question((5, 1)))), r"qas\[0\]: .*5 is not a text"),
        (json.dumps(squad(question(), context=None)), r"qas\[0\]: .*None is not a text"),
        (json.dumps(squad()), "has no question"),
        (None, "cannot be read: .*No such file"),
    ],
)
def test_a_bad_file_is_named(example, tmp_path, content, message):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=message):
        example("reading").read(path)


def test_no_passage_is_divided_between_the_splits(example, tmp_path):
    parts = [{"context": f"甲{i}", "qas": [question(), question()]} for i in range(30)]
    path = tmp_path / "all.json"
    path.write_text(json.dumps({"data": [{"paragraphs": parts}]}), encoding="utf-8")
    options = argparse.Namespace(train=path, valid=None, test=None, limit=None)
    found = [{row.context for row in rows} for rows in example("reading").splits(options)]
    assert [len(contexts) for contexts in found] == [24, 3, 3]
    assert len(set.union(*found)) == 30


def test_baselines(example):
    reading = example("reading")
    row = reading.Row("1", "谁生于青山县？", "老王是画家。1950年生于青山县，现在住在海边。")
    assert reading.nearest_sentence(row) == "1950年生于青山县"
    assert reading.plain_answer(row) == "1950年"
    assert reading.plain_answer(reading.Row("1", "", "")) == ""


def test_the_most_probable_span_is_that_of_all_of_them(example):
    """Against brute force over all spans; and the end behind it counts."""
    best_span = example("task_reading_comprehension_by_mlm").best_span
    rng = np.random.default_rng(0)
    empty = 0
    for length, longest in itertools.product(range(1, 7), range(1, 5)):
        scores = np.log(rng.dirichlet(np.ones(5), longest))
        passage = rng.integers(1, 5, length)
        spans = [(a, b) for a in range(length) for b in range(a + 1, min(length, a + longest) + 1)]

        def value(span, scores=scores, passage=passage, longest=longest):
            tokens = [*passage[span[0] : span[1]], 0][:longest]
            return sum(scores[k, token] for k, token in enumerate(tokens))

        found = best_span(scores, passage, 0)
        assert abs(value(found) - max(map(value, [(0, 0), *spans]))) < 1e-12
        empty += found == (0, 0)
    assert 0 < empty < 24
    assert best_span(np.zeros((3, 5)), np.zeros(0, int), 0) == (0, 0)


SHORT = ["--maxlen", "40", "--question", "8", "--answer", "4"]
FEW = ["--limit", "12", "--eval-limit", "12", "--epochs", "1", "--batch-size", "8"]


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("task_reading_comprehension_by_mlm.py", [], "test: model: em"),
    ],
)
def test_runs(script, arguments, expected):
    command = [sys.executable, str(EXAMPLES / script), *FEW, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert expected in done.stdout

"""The examples of extractive reading comprehension: formats, baseline, and that they run."""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import lzma
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
SMALL = ["--limit", "8", "--eval-limit", "8", "--epochs", "1"]
SOGOU = [
    {
        "id": "q1",
        "question": "首都是哪里？",
        "passages": [
            {"passage": "北京是首都，首都北京很大。", "answer": "北京"},
            {"passage": "上海很大。", "answer": ""},
        ],
    },
    {"id": "q2", "question": "谁来了？", "passages": [{"passage": "小王来了。", "answer": "小王"}]},
]
WEBQA = {
    "q_key": "w1",
    "question_tokens": ["首都", "是", "哪里", "？"],
    "evidences": [
        {"evidence_tokens": ["北京", "是", "首都"], "golden_answers": [["北", "京"], ["京城"]]},
        {"evidence_tokens": ["上海"], "golden_answers": [["no_answer"]]},
    ],
}
SUBJQA = [
    ("How is it?", "It is good. ANSWERNOTFOUND", "(6, 10)"),
    ("How is it?", "It is good. ANSWERNOTFOUND", "(12, 26)"),
    ("Why?", 'He said, "no". ANSWERNOTFOUND', "(15, 29)"),
]


@pytest.fixture
def example(monkeypatch):
    """Imports a module of the examples."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


@pytest.fixture
def comprehension(example):
    return example("comprehension")


def write(path: Path, text: str) -> Path:
    with (lzma.open if path.suffix == ".xz" else open)(path, "wt", encoding="utf-8") as file:
        file.write(text)
    return path


def subjqa(path: Path, rows=SUBJQA) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "review", "human_ans_indices"])
        writer.writerows(rows)
    return path


def run(script: str, *arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("task_reading_comprehension.py", ["--width", "8"], "test: SpanExtraction: f1"),
        ("task_reading_comprehension_dgcnn.py", ["--units", "8"], "test: DGCNN: f1"),
    ],
)
def test_runs(script, arguments, expected):
    done = run(script, *SMALL, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test: tf-idf sentence: f1" in done.stdout
    assert expected in done.stdout


@pytest.mark.script
def test_runs_with_a_checkpoint_on_reviews(tmp_path):
    file = subjqa(tmp_path / "train.csv", SUBJQA * 2)
    files = [part for split in ("train", "valid", "test") for part in (f"--{split}", file)]
    options = ["--model", TINY, "--maxlen", 10, "--stride", 2, "--epochs", 1]
    done = run("task_reading_comprehension.py", *options, *files)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 questions in " in done.stdout
    assert "2 questions in 2 windows" not in done.stdout
    assert "test: SpanExtraction: f1" in done.stdout


@pytest.mark.script
def test_runs_on_several_passages(tmp_path):
    data = [{**item, "id": f"{i}{item['id']}"} for i in range(3) for item in SOGOU]
    file = write(tmp_path / "train.json", json.dumps(data, ensure_ascii=False))
    files = [part for split in ("train", "valid", "test") for part in (f"--{split}", file)]
    done = run(
        "task_reading_comprehension_dgcnn.py", "--epochs", 1, "--units", 8, "--maxlen", 8, *files
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "9 passages" in done.stdout
    assert ", final " in done.stdout  # the scores of WebQA


def test_sogou(comprehension, tmp_path):
    text = json.dumps(SOGOU, ensure_ascii=False, indent=1)
    rows = comprehension.read(write(tmp_path / "a.json.xz", text))
    assert [row.id for row in rows] == ["q1", "q1", "q2"]
    assert rows[0].spans == [(0, 2), (8, 10)]  # every occurrence
    assert rows[1].answers == ()
    assert comprehension._answers(rows) == [["北京"], ["小王"]]
    assert comprehension.read(write(tmp_path / "b.json", text), limit=1) == rows[:2]


def test_webqa(comprehension, tmp_path):
    rows = comprehension.read(write(tmp_path / "a.json", json.dumps(WEBQA) + "\n" * 2))
    assert [row.context for row in rows] == ["北京是首都", "上海"]
    assert rows[0].question == "首都是哪里？"
    assert rows[0].answers == ("北京", "京城")
    assert rows[0].spans == [(0, 2)]
    assert rows[1].answers == ()


def test_subjqa(comprehension, tmp_path):
    rows = comprehension.read(subjqa(tmp_path / "a.csv"))
    assert [row.context for row in rows] == ["It is good. ", 'He said, "no". ']
    assert [row.answers for row in rows] == [("good",), ()]
    assert rows[0].spans == [(6, 10)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("no.json", None, "cannot be read"),
        ("a.json", '[{"id": 1, "question": "?", "passages": [{}]}]', "question 1: not the format"),
        ("b.json", '[{"x": 1}]', "question 1: not the format of WebQA"),
        ("c.json", '{"q_key": 1', r"c\.json, line 1: no JSON"),
        ("d.json", "[]", "has no question"),
        ("e.csv", "a,b\n1,2\n", "line 2: not the format of SubjQA"),
        ("f.csv", "question,review,human_ans_indices\nq,r,x y\n", "line 2: not the format"),
        ("g.csv", "question,review,human_ans_indices\n", "has no question"),
    ],
)
def test_other_files_are_refused(comprehension, tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        write(path, text)
    with pytest.raises(SystemExit, match=message) as error:
        comprehension.read(path)
    assert str(path) in str(error.value)


def test_splits_divide_no_passage(comprehension, tmp_path):
    rows = [(f"Why {i}?", f"Passage {i // 3}. ANSWERNOTFOUND", "(0, 7)") for i in range(60)]
    path = subjqa(tmp_path / "all.csv", rows)
    options = argparse.Namespace(train=path, valid=None, test=None, limit=None)
    parts = [{row.context for row in rows} for rows in comprehension.splits(options)]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20


def test_sentences(comprehension):
    text = "他来了。她呢？\n《梦》写于1.5年前！No. 3 is 2.5 m long. Is it? Yes"
    wanted = [
        "他来了。",
        "她呢？",
        "《梦》写于1.5年前！",
        "No.",
        "3 is 2.5 m long.",
        "Is it?",
        "Yes",
    ]
    assert comprehension.sentences(text) == wanted
    assert comprehension.sentences("") == comprehension.sentences(" \n") == []


def test_the_baseline_by_hand(comprehension):
    row = comprehension.Row("1", "a b", "a b. a c. d")
    baseline = comprehension.SentenceBaseline([row])
    # Three sentences: "a" is in two, all else in one; terms of the first "a", "b", ".", and pairs.
    ((text, cosine),) = baseline.answer([row])
    assert text == "a b"
    some, rare = math.log(3 / 2), math.log(3)
    first = {"a": some, "b": rare, ".": some, "ab": rare, "b.": rare}
    asked = {"a": some, "b": rare, "ab": rare}
    wanted = sum(asked[term] * first[term] for term in asked)
    wanted /= math.hypot(*asked.values()) * math.hypot(*first.values())
    assert cosine == pytest.approx(wanted)
    assert baseline.answer([comprehension.Row("1", "a", "")]) == [("", 0.0)]


def test_metrics_by_data(comprehension):
    row = comprehension.Row
    english = [row("1", "Why?", "x", ("the cat",), (0,)), row("2", "Who?", "x")]
    assert comprehension.scores([("Cat", 1.0), ("x", 0.5)], english)["em"] == 1  # threshold 0.75
    assert comprehension.scores([("Cat", 1.0), ("x", 0.5)], english, 0.0)["no_answer"] == 0
    found = comprehension.scores([("京北", 1.0)], [row("1", "谁？", "x", ("北京",), (0,))])
    assert found == {"f1": 0.5, "em": 0.0}
    several = [row("1", "谁？", "x", ("北京",), (0,)), row("1", "谁？", "y", ("上海",), (0,))]
    found = comprehension.scores([("海上", 1.0)], several)
    assert found == {"f1": 1.0, "em": 0.0, "final": 0.5}


def test_windows_of_dgcnn_hold_every_answer(example, comprehension):
    """What training sees of long passages, and what is read of them."""
    dgcnn = example("task_reading_comprehension_dgcnn")
    text = "".join(chr(0x4E00 + i) for i in range(50))
    rows = [
        comprehension.Row("1", "a?", text, (text[30:33],), (30,)),
        comprehension.Row("2", "", ""),
    ]
    options = argparse.Namespace(seed=0, rare=1, units=4, maxlen=20, answer=5)
    reader = dgcnn.Reader(rows, options)
    prepared = reader.prepare(rows)
    held = 0
    for _ in range(40):
        (question, ids, features), labels = reader.sample(prepared[0])
        assert (len(question), ids.shape, features.shape) == (2, (20,), (20, dgcnn.FEATURES))
        starts, ends = labels[:, 0].nonzero()[0], labels[:, 1].nonzero()[0]
        if len(starts) and len(ends):
            held += 1
            assert ids[starts[0]] == prepared[0][1][30]
            assert ids[ends[0]] == prepared[0][1][32]
    assert held >= 25
    first, second = reader.scores(prepared)
    assert [start for start, _ in first] == [0, 10, 20, 30]
    assert all(scores.shape == (20, 2) for _, scores in first)
    assert [scores.shape for _, scores in second] == [(1, 2)]
    (answer, score), (nothing, _) = reader.answer(rows)
    assert answer
    assert answer in text
    assert 0 < score < 1
    assert nothing == ""

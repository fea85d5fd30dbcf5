"""The data of reading comprehension, and the scripts that find or write answers."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DATA = EXAMPLES / "datasets" / "reading"
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
SIZES = {"train": 400, "valid": 60, "test": 100}


def paragraphs(split: str) -> list[dict]:
    content = json.loads((DATA / f"{split}.json").read_text(encoding="utf-8"))
    assert content["version"] == "v2.0"
    return [part for article in content["data"] for part in article["paragraphs"]]


@pytest.mark.spread
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


@pytest.mark.spread
def test_names_of_a_split_are_in_no_other():
    """Of works and firms, which can be told by their marks."""
    found = {}
    for split in SIZES:
        text = "".join(part["context"] for part in paragraphs(split))
        found[split] = set(re.findall("《.{3}》|..(?:电子|食品|机械|纺织|医药)公司", text))
        assert len(found[split]) > 50
    for first, second in itertools.combinations(found.values(), 2):
        assert not first & second


@pytest.mark.spread
def test_most_passages_have_several_values_of_a_kind():
    """So that it takes the question to choose: years, say."""
    years = [len(set(re.findall(r"\d{4}年", part["context"]))) for part in paragraphs("train")]
    assert sum(count > 1 for count in years) > 0.4 * len(years)


QUESTIONS = [
    {"question": "谁来了？", "passage": f"小{name}来了，老{name}走了。", "answers": [f"小{name}"]}
    for name in "王李张刘陈杨赵黄周吴徐孙"
]


def run_alone(tmp_path: Path, script: str, *arguments) -> Path:
    """Copy a script to an empty folder, train it there on a user's file; return the saved task."""
    shutil.copy(EXAMPLES / script, tmp_path)
    lines = [json.dumps(row, ensure_ascii=False) for row in QUESTIONS]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines), encoding="utf-8")
    files = ["--train", "mine.jsonl", "--predict", "mine.jsonl", "--save", "saved"]
    command = [sys.executable, script, *files, "--epochs", "1", *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "test: f1 " in done.stdout
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == len(QUESTIONS)
    assert all({"text", "start", "end", "score", "passage"} == answer.keys() for answer in answers)
    return tmp_path / "saved"


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("task_reading_comprehension.py", ["--random-weights"]),
        ("task_reading_comprehension.py", ["--checkpoint", TINY, "--maxlen", "24"]),
        ("task_reading_comprehension_dgcnn.py", ["--units", "8", "--metric", "webqa"]),
    ],
)
@pytest.mark.filterwarnings("ignore::bert4keras.tokenizers.UnknownTokensWarning")
def test_runs_alone_on_a_file_of_ones_own(tmp_path, script, arguments):
    from bert4keras import tasks

    qa = tasks.load(run_alone(tmp_path, script, *arguments))
    row = QUESTIONS[0]
    answer = qa((row["question"], row["passage"]))
    assert row["passage"][answer.start : answer.end] == answer.text

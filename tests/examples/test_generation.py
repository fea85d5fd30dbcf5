"""The scripts that write texts: each copied into an empty folder, with a small file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras import tasks

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TINY = Path(__file__).resolve().parents[1] / "fixtures" / "bert_gelu"
SIZES = {
    "word_problems": {"train": 1000, "valid": 100, "test": 200},
    "titles": {"train": 1000, "valid": 80, "test": 120},
}
TITLES = "".join(f"题目{i % 3}\t这是第{i % 3}个文本，很短。\n" for i in range(12))
TEXTS = "".join(f"the {word} is late again {i}\n" for i in range(6) for word in ("train", "bus"))
REVIEWS = "".join(f"very good film {i}\tgood\nbad film {i}\tbad\n" for i in range(6))
PROBLEMS = "".join(f"有{i + 3}本书，送人{i}本，还有几本？\t{i + 3}-{i}\t3\n" for i in range(1, 13))
TRIPLES = "".join(
    json.dumps(
        {"text": f"{s}住在{o}。", "spo_list": [{"subject": s, "predicate": "住", "object": o}]}
    )
    + "\n"
    for s in ("王明", "李华", "赵云")
    for o in ("北京", "上海", "天津", "海口")
)
READING = json.dumps(
    {
        "data": [
            {
                "paragraphs": [
                    {
                        "context": f"王明住在{place}。",
                        "qas": [{"question": "王明住在哪里？", "answers": [{"text": place}]}],
                    }
                ]
            }
            for place in ("北京", "上海", "天津", "海口") * 3
        ]
    }
)
SHORT = ["--maxlen", "40", "--checkpoint", TINY]
NEW = "--random-weights"
CASES = [
    ("task_seq2seq_title.py", TITLES, ["--title", "8", NEW], "test, BeamSearch"),
    ("task_seq2seq_title.py", TITLES, ["--title", "8", *SHORT], "test, Greedy"),
    ("task_seq2seq_title_t5.py", TITLES, ["--title", "8"], "test, BeamSearch"),
    ("task_triples_to_text.py", TRIPLES, ["--longest", "12", NEW], "test, BeamSearch"),
    ("task_question_answer_generation.py", READING, ["--longest", "12", NEW], "questions: rouge_l"),
    ("task_reading_comprehension_by_seq2seq.py", READING, ["--answer", "6", NEW], "test: rouge_l"),
    ("task_conditional_language_model.py", REVIEWS, ["--longest", "6", *SHORT], "held-out texts"),
    (
        "task_language_model.py",
        TEXTS,
        ["--prompt", "the", "--longest", "6", NEW],
        "test: perplexity",
    ),
    ("basic_language_model_gpt2.py", TEXTS, ["--prompt", "the", "--longest", "6"], "a token"),
    ("task_math_word_problem.py", PROBLEMS, [], "right"),
]


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "rows", "arguments", "expected"), CASES, ids=[f"{c[0]}-{len(c[2])}" for c in CASES]
)
def test_a_script_alone(script, rows, arguments, expected, tmp_path):
    shutil.copy(EXAMPLES / script, tmp_path)
    suffix = "json" if rows.startswith("{") else "tsv"
    (tmp_path / f"mine.{suffix}").write_text(rows, encoding="utf-8")
    command = [sys.executable, script, "--train", f"mine.{suffix}", "--epochs", "1"]
    command += ["--save", "saved", *map(str, arguments)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert expected in done.stdout
    assert "\x1b" not in done.stdout
    assert isinstance(tasks.load(tmp_path / "saved"), tasks.Generator)


def rows_of(name: str, split: str) -> list[list[str]]:
    text = (EXAMPLES / "datasets" / name / f"{split}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


@pytest.mark.spread
@pytest.mark.parametrize("name", SIZES)
def test_sizes(name):
    assert {split: len(rows_of(name, split)) for split in SIZES[name]} == SIZES[name]


@pytest.mark.spread
def test_no_problem_or_title_occurs_twice():
    splits = SIZES["titles"]
    problems = [re.sub(r"\d+", "#", row[0]) for s in splits for row in rows_of("word_problems", s)]
    rows = [row for s in splits for row in rows_of("titles", s)]
    for texts in (problems, [row[0] for row in rows], [row[1] for row in rows]):
        assert len(set(texts)) == len(texts)

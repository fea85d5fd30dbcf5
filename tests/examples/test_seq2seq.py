"""The data of the seq2seq examples, and what they compute besides the model."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SIZES = {
    "word_problems": {"train": 1000, "valid": 100, "test": 200},
    "titles": {"train": 1000, "valid": 80, "test": 120},
}


@pytest.fixture
def example(monkeypatch):
    """Imports a module of the examples."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


def rows_of(name: str, split: str) -> list[list[str]]:
    text = (EXAMPLES / "datasets" / name / f"{split}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


@pytest.mark.parametrize("name", SIZES)
def test_the_files_are_what_the_script_makes(name, tmp_path):
    script = EXAMPLES / "datasets" / name / "generate.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, timeout=60)
    for split, size in SIZES[name].items():
        rows = rows_of(name, split)
        assert len(rows) == size
        made = (tmp_path / f"{split}.tsv").read_bytes()
        assert made == (EXAMPLES / "datasets" / name / f"{split}.tsv").read_bytes()


def test_no_problem_or_title_occurs_twice():
    problems = [
        re.sub(r"\d+", "#", row[0]) for s in SIZES["titles"] for row in rows_of("word_problems", s)
    ]
    rows = [row for s in SIZES["titles"] for row in rows_of("titles", s)]
    for texts in (problems, [row[0] for row in rows], [row[1] for row in rows]):
        assert len(set(texts)) == len(texts)


def test_equations_of_the_data_give_their_answers(example):
    value = example("equations").value
    for split in SIZES["word_problems"]:
        for _, equation, answer in rows_of("word_problems", split):
            assert value(equation) == int(answer) > 0


@pytest.mark.parametrize(
    ("equation", "expected"),
    [
        ("(11-1)*2", 20),
        ("0.1+0.2", Fraction(3, 10)),
        ("50%*4", 2),
        ("2(1/2)*2", 5),
        ("7-2-1", 4),
        ("12/(8/2)", 3),
        ("1/(2-2)", None),
        ("2**9999999", None),
        ("__import__('os')", None),
        ("(1", None),
        ("1+True", None),
        ("", None),
    ],
)
def test_value(example, equation, expected):
    assert example("equations").value(equation) == expected


def test_numbers_become_slots(example, tmp_path):
    rows = [
        {
            "question": "甲有3(1/2)吨，用去(1/4)，又用10.5%",
            "equation": "3(1/2)*(1-(1/4)-10.5%)",
            "answer": "2.2575",
        },
        {"question": "28分给2人", "equation": "100*(28/2)", "answer": "1400"},
        {"question": "3和4", "equation": "3*4", "answer": "13"},
        {"question": "5", "equation": None, "answer": None},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    options = argparse.Namespace(maxlen=50, limit=None)
    found = example("task_math_word_problem").read(path, options)
    assert ["".join(row[1]) for row in found] == ["[n0]*(1-[n1]-[n2])", "100*([n0]/[n1])"]
    assert "".join(found[0][0]) == "[CLS]甲有[n0]吨，用去[n1]，又用[n2][SEP]"
    assert found[0][2] == ["3(1/2)", "(1/4)", "10.5%"]


def test_the_grammar_has_the_equations_and_nothing_else(example):
    """All strings of up to 5 signs, against the evaluator, which knows no grammar."""
    equations = example("equations")

    class Signs:
        token_to_id = staticmethod("+-*/()1".index)

    trie = equations.grammar([6], Signs)

    def accepted(node, left, text):
        found = {text} if trie.final[node] else set()
        for token, target in zip(trie.tokens[node], trie.targets[node], strict=True):
            if token >= 0 and left:
                found |= accepted(target, left - 1, text + "+-*/()1"[token])
        return found

    well_formed = {"1", "(1)", "((1))"}
    well_formed |= {f"1{a}1" for a in "+-*/"} | {f"(1{a}1)" for a in "+-*/"}
    well_formed |= {f"1{a}1{b}1" for a in "+-*/" for b in "+-*/"}
    well_formed |= {f"1{a}(1)" for a in "+-*/"} | {f"(1){a}1" for a in "+-*/"}
    assert accepted(0, 5, "") == well_formed


def test_labels_are_those_of_the_target_alone(example):
    class Ends:
        token_end_id = 9

    (ids, segments), labels = example("common").unilm_sample([1, 5, 9], [7, 8], Ends)
    assert (ids, segments) == ([1, 5, 9, 7, 8, 9], [0, 0, 0, 1, 1, 1])
    assert labels == [-1, -1, 7, 8, 9, -1]


def test_files_beside_the_training_file_or_a_tenth_of_it(example, tmp_path):
    splits = example("common").splits

    def read(path):
        return path.read_text(encoding="utf-8").split()

    def named(**paths):
        return argparse.Namespace(
            **{"train": tmp_path / "train.tsv", "valid": None, "limit": None, **paths}
        )

    (tmp_path / "train.tsv").write_text(" ".join(map(str, range(30))), encoding="utf-8")
    train, valid, test = splits(named(test=None), read)
    assert [len(rows) for rows in (train, valid, test)] == [24, 3, 3]
    assert sorted(train + valid + test, key=int) == read(tmp_path / "train.tsv")
    (tmp_path / "valid.tsv").write_text("v", encoding="utf-8")
    (tmp_path / "own.txt").write_text("t", encoding="utf-8")
    train, valid, test = splits(named(test=tmp_path / "own.txt"), read)
    assert (len(train), valid, test) == (30, ["v"], ["t"])
    (tmp_path / "train.tsv").write_text("1", encoding="utf-8")
    with pytest.raises(SystemExit, match="too few rows"):
        splits(named(test=None), read)


def test_a_bad_row_of_titles_is_named(example, tmp_path):
    path = tmp_path / "bad.tsv"
    path.write_text("title\ttext\ntitle alone\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"bad\.tsv, line 2: expected title<TAB>text"):
        example("titles").read(path, None)

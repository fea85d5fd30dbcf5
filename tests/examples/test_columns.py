"""Texts with labels, knowledge, tables and passages, as the modules of the examples read them."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    """Imports a module of the examples."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


@pytest.mark.parametrize(
    ("content", "header", "rows"),
    [
        ("\ufeffgood\t1\nbad\t0\n", None, [("good", 1), ("bad", 0)]),
        ("text\tlabel\r\ngood\t1\r\n", None, [("good", 1)]),
        ("文本\t标签\ngood\t1", None, [("good", 1)]),
        ("spam\teggs\ngood\t1", True, [("good", 1)]),
        ("so\u2028good\x85!\t1", None, [("so\u2028good\x85!", 1)]),
        ('"so ""good"""\t1\nbad\t0', None, [('so "good"', 1), ("bad", 0)]),
    ],
)
def test_texts_with_labels(example, tmp_path, content, header, rows):
    (tmp_path / "a.tsv").write_bytes(content.encode())
    assert example("common").read_tsv(tmp_path / "a.tsv", (0, 1), header=header) == rows


@pytest.mark.parametrize(
    ("content", "how", "message"),
    [
        ("good 1\nbad\t0\n", {}, "line 1: .*too few columns.*a header must have names such as"),
        ("good\tyes\nbad\t0\n", {}, "line 1: .*'yes' is no number.*a header must"),
        ("text\tlabel\nbad\t0\n", {"header": False}, "line 1: .*'label' is no number"),
        ("good\t1\n\t0\n", {}, "line 2: .*an empty text"),
        ("good\t1_000\n", {}, "line 1: .*'1_000' is no number"),
        ("good\t-1\n", {}, "classes are numbers from 0 to 99999"),
        ("good\t100000\n", {}, "classes are numbers from 0"),
        ("good\t" + "9" * 5000, {}, "is no number"),
        ("good\tnan\n", {"number": float}, "'nan' is no number"),
        ("good\t1e999\n", {"number": float}, "'1e999' is not finite"),
        ("good\t1/0\n", {"number": "Fraction"}, "Fraction"),
        ("good\t1e999999999\n", {"number": "Fraction"}, "is no number"),
    ],
)
def test_labels_that_are_none(example, tmp_path, content, how, message):
    if how.get("number") == "Fraction":
        how = {"number": importlib.import_module("fractions").Fraction}
    (tmp_path / "a.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=message):
        example("common").read_tsv(tmp_path / "a.tsv", (0, 1), **how)


def test_tables_of_texts(example, tmp_path):
    read, path = example("task_multilabel_classification").read, tmp_path / "a.tsv"
    path.write_bytes("\ufefftitle\ttext\r\na\u2028b\tc\r\n".encode())
    ((title, text),) = read(path)
    assert (title, *text) == ("a\u2028b", "c")
    for content, message in (("a\n", "line 1: expected"), ("", "has no rows")):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(SystemExit, match=message):
            read(path)


def test_problems_and_passages(example, tmp_path):
    path, common = tmp_path / "a.jsonl", example("common")
    path.write_text('\ufeff{"a": 1, "b": 2}\n{"a": 1}\n', encoding="utf-8")
    with pytest.raises(SystemExit, match="line 2: no 'b', or another kind of it, in"):
        common.json_rows(path, "a", "b")
    assert common.json_rows(path, "a") == [(1,), (1,)]
    with pytest.raises(SystemExit, match="line 1: no 'a', or another kind of it, in"):
        common.json_rows(path, "a", kind=str)


def test_labels_in_two_spellings(example, tmp_path):
    path = tmp_path / "a.json"
    row = {"text": "ab", "triple_list": [["a", "is in", "b"], ["b", "is  in", "a"]]}
    path.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(SystemExit, match="the label 'is  in' is also written 'is in'"):
        example("relations").read(path)
    topics = example("task_multilabel_classification").read
    path.write_text("a\tx，y, x\nb\t\n", encoding="utf-8")
    assert topics(path) == [("a", ["x", "y"]), ("b", [])]
    path.write_text("a\tx\nb\tX\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="the label 'X' is also written 'x'"):
        topics(path)

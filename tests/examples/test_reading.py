"""The data of reading comprehension, and the scripts that find or write answers."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import shutil
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

"""The data of reading comprehension, and the scripts that find or write answers."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DATA = EXAMPLES / "datasets" / "reading"
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
SIZES = {"train": 400, "valid": 60, "test": 100}


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

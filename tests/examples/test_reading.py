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


def test_the_spans_of_a_prompt_are_those_of_its_passage(example):
    """Step by step against the suffix automaton that the package builds for a passage."""
    import keras

    from bert4keras.generation import Trie
    from bert4keras.generation.processors import History

    end, size, columns = 3, 8, 12
    module = example("task_reading_comprehension_by_seq2seq")
    only = module.SpansOfPrompt(end, longest=6)
    # Prompts end at the same column; 5 also stands in the question, 0 is padding.
    prompts = [[2, 5, 3, 4, 5, 4, 6, 3], [2, 7, 3, 6, 6, 5, 6, 6, 4, 3]]
    tokens = np.zeros((2, columns + 5), "int32")
    for row, prompt in zip(tokens, prompts, strict=True):
        row[columns - len(prompt) : columns] = prompt

    def allowed(answers):
        step = len(answers[0])
        filled = tokens.copy()
        filled[:, columns : columns + step] = answers
        written = np.arange(columns + 5)[None] < columns + step
        starts = np.array([columns - len(prompt) for prompt in prompts])[:, None]
        written = written & (np.arange(columns + 5)[None] >= starts)
        arrays = [keras.ops.convert_to_tensor(x) for x in (filled, written)]
        index, count = (keras.ops.convert_to_tensor(x, "int32") for x in (columns + step, step))
        scores = keras.ops.zeros((2, size))
        found = keras.ops.convert_to_numpy(only(scores, (), History(*arrays, index, count)))
        return [set(np.flatnonzero(row > -1.0)) for row in found]

    def expected(prompt, answer):
        trie = Trie.of_spans(prompt[3:-1])
        node = 0
        for token in answer:
            where = trie.tokens[node].tolist()
            node = trie.targets[node][where.index(token)]
        return {*trie.tokens[node].tolist(), end} - {-1}

    for answers in ([[], []], [[4], [6]], [[5], [6]], [[5, 4], [6, 6]], [[4, 5, 4], [6, 5, 6]]):
        wanted = [expected(*pair) for pair in zip(prompts, answers, strict=True)]
        assert allowed(answers) == wanted
    assert allowed([[], []])[0] == {4, 5, 6, end}  # neither 2 nor, of the question, [SEP] and 7


QUESTIONS = [
    {"question": "谁来了？", "passage": f"小{name}来了，老{name}走了。", "answers": [f"小{name}"]}
    for name in "王李张刘陈杨赵黄周吴徐孙"
]


def run_alone(tmp_path: Path, script: str, *arguments) -> Path:
    """Copy a script to an empty folder, train it there on a file of one's own; the saved task."""
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
        ("task_reading_comprehension.py", []),
        ("task_reading_comprehension.py", ["--checkpoint", TINY, "--maxlen", "24"]),
        ("task_reading_comprehension_dgcnn.py", ["--units", "8", "--metric", "webqa"]),
    ],
)
def test_runs_alone_on_a_file_of_ones_own(tmp_path, script, arguments):
    from bert4keras import tasks

    qa = tasks.load(run_alone(tmp_path, script, *arguments))
    row = QUESTIONS[0]
    answer = qa((row["question"], row["passage"]))
    assert row["passage"][answer.start : answer.end] == answer.text


SHORT = ["--maxlen", "40", "--question", "8", "--answer", "4"]
FEW = ["--limit", "12", "--eval-limit", "12", "--epochs", "1", "--batch-size", "8"]


@pytest.mark.script
@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("task_reading_comprehension_by_seq2seq.py", [], "test: model: em"),
        ("task_reading_comprehension_by_seq2seq.py", ["--model", TINY, *SHORT], "tokens kept"),
        ("task_question_answer_generation.py", [], "answers drawn stand in their passage"),
        ("task_seq2seq_title_t5.py", ["--title", "6", "--maxlen", "16"], "test: BeamSearch"),
    ],
)
def test_runs(script, arguments, expected):
    command = [sys.executable, str(EXAMPLES / script), *FEW, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert expected in done.stdout

"""The examples of classification: each in an empty folder, on a user's file."""

from __future__ import annotations

import ast
import collections
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras.tasks.classification import read_labelled_texts

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TINY = ROOT / "tests" / "fixtures" / "bert_gelu"
TECHNIQUES = {
    "task_classification_adversarial": ["--method", "pgd", "--steps", "2"],
    "task_classification_gradient_penalty": [],
    "task_classification_rdrop": ["--dropout", "0.3"],
    "task_layerwise_learning_rates": ["--decay", "0.7"],
    "task_semi_supervised_vat": ["--labelled", "12"],
    "task_gan_bert": ["--labelled", "12", "--correlation", "1"],
    "task_bert_of_theseus": ["--layers", "1"],
}
SCRIPTS = [
    "task_sentence_classification",
    "task_multilabel_classification",
    "basic_integrated_gradients",
    *TECHNIQUES,
]


def run(directory: Path, script: str, *arguments, code: int = 0) -> subprocess.CompletedProcess:
    """Run a copy of a script in a folder that has nothing else of the examples."""
    shutil.copy(EXAMPLES / f"{script}.py", directory)
    small = ["--checkpoint", TINY, "--epochs", 1, "--maxlen", 16]
    command = [sys.executable, f"{script}.py", *small, *arguments]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=300, cwd=directory
    )
    assert done.returncode == code, done.stderr[-2000:]
    assert "\x1b" not in done.stdout + done.stderr  # colours and bars are for terminals
    return done


def write(path: Path, labels=("good", "bad")) -> Path:
    rows = [f"{label} film {n}\t{label}\n" for n in range(12) for label in labels]
    path.write_text("text\tlabel\n" + "".join(rows), encoding="utf-8")
    return path


@pytest.mark.script
@pytest.mark.parametrize("script", ["task_sentence_classification", *TECHNIQUES])
def test_texts_of_ones_own(tmp_path, script):
    from bert4keras import tasks

    options = ["--train", write(tmp_path / "mine.tsv"), "--save", "saved"]
    printed = run(tmp_path, script, *options, *TECHNIQUES.get(script, []))
    assert re.search(r"^(test: |[\d,]+ weights, test: )\{'accuracy': \d", printed.stdout, re.M)
    assert len(re.findall(r"; right is (good|bad)$", printed.stdout, re.M)) == 2  # a tenth of 20
    task = tasks.load(tmp_path / "saved")
    assert task.labels == ["bad", "good"]
    assert task("good film").label in task.labels
    # The saved model is the plain one, without the technique it was trained with.
    assert type(task.model).__name__ == "Functional"


@pytest.mark.script
def test_unlabelled_texts_get_answers(tmp_path):
    train, texts = write(tmp_path / "mine.tsv"), tmp_path / "texts.txt"
    texts.write_text("我爱北京\n\n good film\n", encoding="gb18030")
    rows = train.read_text(encoding="utf-8")
    train.write_text(rows.replace("film", "北京"), encoding="gb18030")
    files = ["--train", train, "--valid", train, "--test", train, "--encoding", "gb18030"]
    done = run(tmp_path, "task_sentence_classification", *files, "--predict", texts)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [answer["text"] for answer in answers] == ["我爱北京", " good film"]
    assert {answer["label"] for answer in answers} <= {"good", "bad"}
    assert "24 texts to train on, labels: bad, good" in done.stdout


@pytest.mark.script
def test_several_labels(tmp_path):
    train = write(tmp_path / "mine.tsv", ["sport, news", "news", ""])
    texts = tmp_path / "texts.txt"
    texts.write_text("a film\n", encoding="utf-8")
    options = ["--train", train, "--predict", texts, "--save", "saved"]
    printed = run(tmp_path, "task_multilabel_classification", *options).stdout
    assert "2 labels: news, sport" in printed
    assert re.search(r"^test: \{'micro_f1': \d.*'exact_match': \d", printed, re.MULTILINE)
    assert re.search(r'^\{"text": "a film", "labels": \[', printed, re.MULTILINE)


@pytest.mark.script
def test_attributions_of_a_saved_classifier(tmp_path):
    """A picture has the text and nothing else, apart from marks."""
    train = write(tmp_path / "mine.tsv")
    options = ["--train", train, "--nodes", 4]
    trained = run(tmp_path, "basic_integrated_gradients", *options, "--save", "saved").stdout
    assert "the parts of the tokens lack" in trained
    assert "hiding the largest part token" in trained
    page = tmp_path / "words.html"
    options += ["--load", "saved", "--text", "A fine <day>", "--html", page]
    printed = run(tmp_path, "basic_integrated_gradients", *options).stdout
    assert re.search(r"^(good|bad) 0\.\d{3}: .*\([+-]\d\.\d{3}\)", printed, re.MULTILINE)
    html = page.read_text(encoding="utf-8")
    assert "rgba(" in html
    assert re.sub(r"<[^>]*>", "", html).split(": ")[1].strip() == "A fine &lt;day&gt;"


@pytest.mark.script
def test_a_bad_file_is_named(tmp_path):
    (tmp_path / "bad.tsv").write_text("good\t1\nno label\n", encoding="utf-8")
    done = run(tmp_path, "task_sentence_classification", "--train", "bad.tsv", code=1)
    assert "bad.tsv, line 2: expected 1 text(s) and a label" in done.stderr.splitlines()[-1]


@pytest.mark.spread
def test_topics_of_the_shipped_data():
    """All numbers of labels occur, and not every clause was seen in training."""
    files = {name: EXAMPLES / "datasets" / "topics" / f"{name}.tsv" for name in ("train", "test")}
    rows = {name: read_labelled_texts(path, "multi_label") for name, path in files.items()}
    assert len({label for _, labels in rows["train"] for label in labels}) == 12
    counts = collections.Counter(len(labels) for _, labels in rows["test"])
    assert sorted(counts) == [0, 1, 2, 3]
    assert min(counts.values()) > 8
    ends = {
        name: {part.split()[-1] for text, _ in some for part in text.strip(".").split(", ")}
        for name, some in rows.items()
    }
    assert len(ends["test"] - ends["train"]) > 5


@pytest.mark.spread
@pytest.mark.parametrize("script", SCRIPTS)
def test_each_stands_alone(script):
    """Imports nothing of the folder; 40 to 90 lines."""
    source = (EXAMPLES / f"{script}.py").read_text(encoding="utf-8")
    assert 40 <= len(source.splitlines()) <= 90
    modules = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert modules - set(sys.stdlib_module_names) <= {"bert4keras", "keras", "numpy"}
    assert "Seen: " in ast.get_docstring(ast.parse(source))

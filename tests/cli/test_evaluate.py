"""`bert4keras evaluate` and `find-threshold`: the numbers of the library, tables, pages."""

from __future__ import annotations

import html
import json
import re

import pytest

from bert4keras import tasks
from bert4keras.cli.error_page import error_page
from bert4keras.cli.evaluate import aligned, as_text
from bert4keras.tasks.report import Report
from bert4keras.tasks.tagging.metrics import entity_report

pytestmark = pytest.mark.spread

TEXTS = ["the film", "我爱北京", "a <b>story</b>", "bad", "the story", "very good"]


@pytest.fixture
def labelled(tmp_path):
    """A file of texts, a label of each."""
    path = tmp_path / "test.tsv"
    path.write_text("".join(f"{t}\t{'ab'[i % 2]}\n" for i, t in enumerate(TEXTS)), encoding="utf-8")
    return path


def test_a_classifier(bert4keras, saved, labelled, tmp_path):
    page = tmp_path / "errors.html"
    directory = saved("TextClassifier")
    done = bert4keras("evaluate", directory, labelled, "--errors", page, "--json")
    assert done.exit_code == 0, done.stderr
    values = json.loads(done.stdout)
    task = tasks.load(directory)
    labels = ["ab"[i % 2] for i in range(len(TEXTS))]
    answers = task.predict(TEXTS)
    assert values["scores"] == pytest.approx(task.metrics(answers, labels))
    assert {name: one["support"] for name, one in values["classes"].items()} == {"a": 3, "b": 3}
    assert sum(one["count"] for one in values["confusion"]) == len(TEXTS)
    wrong = [i for i, a in enumerate(answers) if a.label != labels[i]]
    assert sorted(one["sample"] - 1 for one in values["wrong"]) == wrong
    ranks = [one["confidence"] for one in values["wrong"]]
    assert ranks == sorted(ranks, reverse=True) == sorted(answers[i].score for i in wrong)[::-1]
    text = page.read_text(encoding="utf-8")
    assert text.count("<h2>") == len(wrong)
    for i in wrong:
        assert html.escape(TEXTS[i]) in text
    assert not re.search(r"(src|href)=|<script|<b>", text)
    shown = bert4keras("evaluate", directory, labelled).stdout
    assert re.search(r"class +precision +recall +f1 +support", shown)
    assert re.search(r"wanted \\ found +a", shown) or re.search(r"wanted \\ found +b", shown)


def test_a_task_without_classes(bert4keras, saved, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("the film\tstory\t1\nbad\tgood\t0\ngood\tgood\t0.5\n")
    done = bert4keras("evaluate", saved("SentenceEncoder"), path, "--json")
    assert set(json.loads(done.stdout)) == {"samples", "scores"}
    assert json.loads(done.stdout)["samples"] == 3
    done = bert4keras("evaluate", saved("SentenceEncoder"), path, "--errors", tmp_path / "x.html")
    assert done.exit_code == 1
    assert done.stderr == "error: --errors: a SentenceEncoder has no page of errors.\n"


def test_a_novelty_detector(bert4keras, saved, tmp_path):
    known, foreign = tmp_path / "known.txt", tmp_path / "foreign.txt"
    known.write_text("the film\nstory\n")
    foreign.write_text("我爱北京\n", encoding="utf-8")
    directory = saved("NoveltyDetector")
    done = bert4keras("evaluate", directory, known)
    assert "scored on two files: add --foreign FILE" in done.stderr
    done = bert4keras("evaluate", directory, known, "--foreign", foreign, "--json")
    assert "auroc" in json.loads(done.stdout)["scores"]
    done = bert4keras("find-threshold", directory, known)
    assert "needs two files: add --foreign FILE" in done.stderr
    done = bert4keras("find-threshold", directory, known, "--foreign", foreign, "--json")
    assert json.loads(done.stdout)["option"] == "false_alarm_rate"


def test_the_page_of_a_tagger():
    text = "李明 in <i>北京</i>"
    task = object.__new__(tasks.Tagger)
    task.labels = ["PER", "LOC"]
    answers = [[tasks.Entity(0, 2, "LOC", "李明", 0.875)]]
    labels = [[(0, 2, "PER"), (9, 11, "LOC")]]
    report = entity_report({"f1": 0.0}, answers, labels)
    page = error_page(task, report, [text], answers, labels)
    assert "<h2>1. sample 1, confidence 0.875</h2>" in page
    names = re.findall("<th>(.*?)</th>", page)
    assert names == ["gold", "predicted", "spurious", "missed", "missed"]
    rows = re.findall("<td>(.*?)</td>", page)
    colours = [re.findall("background:(#......)[^>]*>([^<]*)<sub>([^<]*)", row) for row in rows]
    per, loc = colours[0][0][0], colours[0][1][0]
    assert colours[0] == [(per, "李明", "PER"), (loc, "北京", "LOC")]
    assert colours[1] == colours[2] == [(loc, "李明", "LOC")]
    assert "&lt;i&gt;" in rows[0]
    assert "<i>" not in page


def test_the_pages_of_a_reader_and_of_relations(bert4keras, saved, tmp_path):
    questions = tmp_path / "q.jsonl"
    rows = [
        {"question": "the film", "context": "the film is <good>", "answers": ["<good>"]},
        {"question": "story", "context": "我爱北京", "answers": ["北京"]},
    ]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = tmp_path / "errors.html"
    done = bert4keras("evaluate", saved("ExtractiveQA"), questions, "--errors", page, "--json")
    assert done.exit_code == 0, done.stderr
    assert "answer" in json.loads(done.stdout)["classes"]
    wrong = {one["sample"] for one in json.loads(done.stdout)["wrong"]}
    assert wrong
    assert page.read_text(encoding="utf-8").count("<sub>gold</sub>") == len(wrong)
    triples = tmp_path / "r.jsonl"
    triples.write_text('{"text": "the <film>", "triple_list": [["the", "of", "<film>"]]}\n')
    done = bert4keras("evaluate", saved("RelationExtractor"), triples, "--errors", page, "--json")
    values = json.loads(done.stdout)
    assert values["classes"]["of"]["support"] == 1
    assert sum(one["count"] for one in values["confusion"] if one["wanted"] == "of") == 1
    assert "missed" in page.read_text(encoding="utf-8")
    assert "<film>" not in page.read_text(encoding="utf-8")


def test_a_file_without_labels_of_the_task(bert4keras, saved, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("the B\nfilm I\n\nstory B\n")
    done = bert4keras("evaluate", saved("Tagger"), path)
    assert done.exit_code == 1
    assert "words.txt: its tags have no types, as B-PER has" in done.stderr
    assert done.stderr.endswith("those of the task are X.\n")
    path.write_text("the B-PER\nfilm I-PER\n\nstory B-LOC\n")
    done = bert4keras("evaluate", saved("Tagger"), path)
    assert "words.txt: its labels LOC, PER are none of the task's: X." in done.stderr
    path.write_text("the B-PER\nfilm I-PER\n\nstory B-X\n")  # one is
    done = bert4keras("evaluate", saved("Tagger"), path, "--json")
    assert set(json.loads(done.stdout)["classes"]) == {"PER", "X"}


def test_columns_are_aligned_although_chinese_is_wide():
    assert aligned([["类别", "1"], ["abc", "23"]]) == "类别   1\nabc   23"
    assert "\x1b" not in aligned([["\x1b[31m", "1\n2"]])
    many = {(f"l{i}", f"l{i + 1}"): i for i in range(30)}
    text = as_text(Report({"f1": 0.5}, {}, many), 9)
    assert text.splitlines()[5].split() == ["l29", "l30", "29"]
    assert text.endswith("...")


def test_find_threshold(bert4keras, saved, labelled, tmp_path):
    picture = tmp_path / "curve.png"
    done = bert4keras(
        "find-threshold", saved("TextClassifier"), labelled, "--json", "--picture", picture
    )
    assert done.exit_code == 0, done.stderr
    values = json.loads(done.stdout)
    assert values["f1"] == max(row["f1"] for row in values["curve"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    done = bert4keras("find-threshold", saved("TextClassifier"), labelled, "--write")
    assert "stores no threshold: it always answers" in done.stderr
    shown = bert4keras("find-threshold", saved("TextClassifier"), labelled).stdout
    assert re.search(r"\* +0\.\d{4}", shown)
    assert "no option of the task: it always answers" in shown


def test_a_threshold_that_is_written(bert4keras, saved, tmp_path):
    directory = tmp_path / "qa"
    tasks.load(saved("ExtractiveQA")).save(directory, card="# Mine\n")
    path = tmp_path / "q.jsonl"
    rows = [
        {"question": "the film", "context": "the film is good", "answers": ["good"]},
        {"question": "story", "context": "it was not very good", "answers": []},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (directory / "training.json").write_text("{}")
    others = {x.name: x.read_bytes() for x in directory.iterdir() if x.name != "task.json"}
    done = bert4keras("find-threshold", directory, path, "--write", "--json")
    assert done.exit_code == 0, done.stderr
    now = {x.name: x.read_bytes() for x in directory.iterdir() if x.name != "task.json"}
    assert now == others
    values = json.loads(done.stdout)
    assert tasks.load(directory).no_answer_threshold == values["written"] <= values["threshold"]
    done = bert4keras("find-threshold", directory, path, "--precision", "1", "--recall", "1")
    assert done.exit_code == 1
    assert "no threshold reaches precision 1 and recall 1; the highest precision is" in done.stderr
    done = bert4keras("find-threshold", "hf://a/b", path, "--write")
    assert "--write: hf://a/b is no directory of a saved task" in done.stderr

"""`bert4keras debug-data`: planted faults are found, and clean files have none."""

from __future__ import annotations

import json

import pytest

from bert4keras.tasks.data_checks import by_importance, check_labels, check_queries
from bert4keras.tasks.sql import SQL, Table, TableQuestion, TableSample
from bert4keras.tokenizers import Tokenizer

pytestmark = pytest.mark.spread

CLEAN = [f"text number {i}\t{'ab'[i % 2]}" for i in range(20)]


@pytest.fixture
def write(tmp_path):
    def file(name: str, lines: list[str], encoding: str = "utf-8") -> str:
        path = tmp_path / name
        path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
        return str(path)

    return file


@pytest.fixture
def findings(bert4keras):
    """Run the command, and return the findings by kind, and the whole result."""

    def run(*arguments: str) -> tuple[dict, dict]:
        done = bert4keras("debug-data", *arguments, "--json")
        assert done.exit_code == 0, done.stderr
        values = json.loads(done.stdout)
        return {one["kind"]: one for one in values["findings"]}, values

    return run


def test_a_clean_file_has_no_findings(bert4keras, write):
    path = write("train.tsv", CLEAN)
    done = bert4keras("debug-data", "text-classifier", path, "--strict")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.endswith("nothing was found that may harm\n")
    assert done.stdout.splitlines()[1].split() == ["train.tsv", "20", "20", "2"]


def test_repetitions_contradictions_and_labels(bert4keras, findings, write):
    train = write("train.tsv", [*CLEAN, "Ｔext  NUMBER 0\ta", "text number 1\ta", "x\tB", "y\tc"])
    test = write("test.tsv", ["text number 2\ta", "new\td", "newer\td"])
    found, values = findings("text-classifier", train, test)
    assert found["duplicates"]["count"] == 2
    assert found["duplicates"]["places"] == [
        {"file": "train.tsv", "sample": 21},
        {"file": "train.tsv", "sample": 22},
    ]
    assert found["overlap"]["places"] == [{"file": "test.tsv", "sample": 1}]
    assert found["overlap"]["share"] == pytest.approx(1 / 3)
    assert found["contradictions"]["places"] == [{"file": "train.tsv", "sample": 2}]
    assert "'d'; no model can find them" in found["unseen labels"]["message"]
    assert "'B', 'c'" in found["rare labels"]["message"]
    assert "'B' and 'b'" in found["spelling of labels"]["message"]
    assert values["files"]["train.tsv"]["labels"] == {"a": 12, "b": 10, "B": 1, "c": 1}
    levels = [one["level"] for one in values["findings"]]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)
    done = bert4keras("debug-data", "text-classifier", train, test, "--strict")
    assert done.exit_code == 1
    assert "error: 1 texts of test.tsv occur in train.tsv too" in done.stdout
    assert "[test.tsv:1]" in done.stdout


def test_encodings(findings, write):
    chinese = write("a.tsv", [f"{i} 北京\ta" for i in range(9)], "gb18030")
    broken = write("b.tsv", ["no label"])
    found, values = findings("text-classifier", chinese, broken)
    assert "it is GB18030; give --encoding gb18030" in found["encoding"]["message"]
    assert "b.tsv, line 1" in found["cannot be read"]["message"]
    assert values["files"]["a.tsv"]["samples"] == 9
    found, _ = findings("text-classifier", chinese, "--encoding", "gb18030")
    assert "encoding" not in found
    marked = write("c.tsv", ["\ufeffgood \x07\ta", "Ａ\ta"])
    found, _ = findings("text-classifier", marked)
    assert {"byte order mark", "control characters", "full-width letters and digits"} <= set(found)
    assert found["one label"]["level"] == "error"


def test_all_bad_rows(bert4keras, findings, write):
    """Each with the number of its line, by the reader's own words; the others are checked."""

    def errors(*arguments: str) -> tuple[list[int], int]:
        done = bert4keras("debug-data", *arguments, "--json")
        values = json.loads(done.stdout)
        bad = [one for one in values["findings"] if one["kind"] == "cannot be read"]
        for one in bad[:20]:
            assert f"{arguments[1]}, line {one['places'][0]['sample']}: " in one["message"]
        samples = sum(one["samples"] for one in values["files"].values())
        return [one["places"][0]["sample"] for one in bad if one["places"]], samples

    assert errors("text-classifier", write("a.tsv", ["x", *CLEAN, "y", "z\ta", "a\tb\tc"])) == (
        [1, 22, 24],
        21,
    )
    header = write("b.tsv", ["text\tlabel", *CLEAN, "\ta", " "])
    assert errors("text-classifier", header) == ([22], 20)
    table = ["text,label", '"two', 'lines",a', '"many', "more", 'lines"', "good,b", ",b"]
    assert errors("text-classifier", write("c.csv", table)) == ([6, 8], 2)
    rows = ['{"text": "the film", "entities": []}', "{", '{"text": 3}', '{"text": "a"}']
    assert errors("tagger", write("d.json", [*rows, rows[0]])) == ([2, 3, 4], 2)
    # A column file: the sentence of a bad line is left out, the others stay.
    tokens = ["the O", "film B-X", "", "so O", "bad", "is I-X", "", "story B-X"]
    assert errors("tagger", write("e.txt", tokens)) == ([5], 2)
    many = write("f.tsv", [*CLEAN, *["x"] * 25])
    found, total = errors("text-classifier", many)
    assert (found, total) == (list(range(21, 41)), 0)
    assert (
        "after 20 rows of f.tsv that cannot be read"
        in bert4keras("debug-data", "text-classifier", many).stdout
    )
    # Only the header's error, which all rows would have; then rows without a label only.
    assert errors("text-classifier", write("g.tsv", ["text\tid", "a\tb", "c"]))[0] == [1]
    assert errors("text-classifier", write("h.tsv", ["a", "b"])) == ([1, 2], 0)


def test_entities(findings, saved, write):
    rows = [
        {"text": "the film ", "entities": [[4, 9, "X"]]},
        {"text": "the film", "entities": [[0, 8, "X"], [4, 8, "X"]]},
        {"text": "the film", "entities": [[5, 8, "X"]]},
        {"text": "good " * 60, "entities": [[0, 299, "X"]]},
    ]
    path = write("train.json", [json.dumps(row) for row in rows])
    found, _ = findings("tagger", path)
    assert "one label" not in found
    assert found["entities: begin or end with a blank"]["places"][0]["sample"] == 1
    assert found["entities: overlap"]["places"] == [{"file": "train.json", "sample": 2}]
    found, values = findings("tagger", path, "--model", saved("Tagger"))
    assert found["entities: overlap"]["places"] == [{"file": "train.json", "sample": 2}]
    assert found["entities: inside a token"]["places"][0]["sample"] == 3
    assert found["entities: longer than a window"]["places"][0]["sample"] == 4
    tokens = values["files"]["train.json"]["tokens"]
    assert (tokens["p100"] > 48, tokens["maxlen"], tokens["share_longer"]) == (True, 48, 0.25)
    assert "have more than 48 tokens and are read in windows" in found["long texts"]["message"]
    found, _ = findings("tagger", path, "--model", saved("Tagger"), "--maxlen", "512")
    assert "long texts" not in found


def test_answers_and_triples(findings, write):
    rows = [
        {"question": "who", "context": "it was me", "answers": ["me"]},
        {"question": "when", "context": "it was me", "answers": ["today"]},
    ]
    found, _ = findings("extractive-qa", write("q.jsonl", [json.dumps(row) for row in rows]))
    assert found["answers not in the passage"]["places"] == [{"file": "q.jsonl", "sample": 2}]
    row = {"text": "Rome is in Italy", "triple_list": [["Rome", "in", "Italy"]]}
    bad = {"text": "Rome", "triple_list": [["Rome", "in", "Spain"], ["Rome", "in", "Rome"]]}
    found, _ = findings("relations", write("r.json", [json.dumps(row), json.dumps(bad)]))
    assert found["triples not in the text"]["share"] == pytest.approx(1 / 3)


def test_pairs(findings, write):
    path = write("pairs.tsv", ["a\tb\t5", "c\td\t0", "a\tb\t4"])
    found, _ = findings("reranker", path)
    assert (found["grades"]["count"], found["contradictions"]["count"]) == (2, 1)
    assert "grades" not in findings("sentence-encoder", path)[0]


def test_queries(fixtures):
    tokenizer = Tokenizer.from_pretrained(fixtures / "bert_gelu")
    table = Table(("film", "story"), (("good", 2),))
    asked = TableQuestion("the story of the good film", table)
    good = TableSample(asked, SQL((1,), ("",), [(0, "=", "good")]))
    bad = TableSample(asked, SQL((1,), ("",), [(0, "=", "elsewhere entirely")]))
    (found,) = check_queries("a", [good, bad], tokenizer)
    assert "1 queries of a are trained without their conditions: a value is not" in found.message
    assert found.places == (("a", 2),)


def test_wrong_use(bert4keras, write):
    path = write("a.tsv", CLEAN)
    assert "a file is given twice" in bert4keras("debug-data", "tagger", path, path).stderr
    done = bert4keras("debug-data", "taggre", path)
    assert "there is no task 'taggre'. Did you mean tagger?" in done.stderr
    assert bert4keras("debug-data", "tagger").exit_code == 2
    done = bert4keras("debug-data", "text-classifier", "nowhere.tsv")
    assert done.stderr == "error: nowhere.tsv: No such file or directory\n"


def test_the_worst_comes_first():
    found = check_labels({"train": {"a": 9, "b": 1}, "test": {"c": 1, "a": 1}})
    assert [one.kind for one in by_importance(found[::-1])] == ["unseen labels", "rare labels"]
    assert check_labels({}) == []

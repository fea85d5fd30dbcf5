"""`bert4keras predict`: every format in and out, errors, and going on after a kill."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

from bert4keras import tasks
from bert4keras.cli.answer_lines import open_output
from bert4keras.cli.errors import Failure
from bert4keras.cli.records import Source
from bert4keras.tasks.isolation import predict_each

pytestmark = pytest.mark.spread

TEXTS = ["the film", "我爱北京", 'a "very" good, long story', "bad"]


@pytest.fixture
def classifier(saved):
    return saved("TextClassifier")


@pytest.fixture
def wanted(classifier):
    return [answer.label for answer in tasks.load(classifier).predict(TEXTS)]


def lines_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_answers_of_a_text_file_as_json_lines(bert4keras, classifier, wanted, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\ufeff" + "\r\n".join(TEXTS), encoding="utf-8")
    done = bert4keras("predict", classifier, path)
    assert (done.exit_code, done.stderr) == (0, "")
    rows = lines_of(done.stdout)
    assert [row["line"] for row in rows] == [1, 2, 3, 4]
    assert [row["answer"]["label"] for row in rows] == wanted
    assert set(rows[0]["answer"]["scores"]) == {"a", "b"}


def as_csv(path: Path, dialect: str = "excel") -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, dialect).writerows([["id", "text"], *enumerate(TEXTS)])


def as_tsv(path: Path) -> None:
    path.write_text("".join(f"{i}\t{text}\n" for i, text in enumerate(TEXTS)), encoding="utf-8")


def as_json_lines(path: Path) -> None:
    rows = ({"text": text, "id": i} for i, text in enumerate(TEXTS))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def as_array(path: Path) -> None:
    path.write_text(json.dumps([{"sentence": text} for text in TEXTS]), encoding="utf-8")


def as_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress("\n".join(TEXTS).encode("gb18030")))


@pytest.mark.parametrize(
    ("write", "name", "options"),
    [
        (as_csv, "a.csv", []),
        (as_csv, "a.csv", ["--text-column", "text"]),
        (as_tsv, "a.tsv", ["--text-column", "1", "--no-header"]),
        (as_json_lines, "a.jsonl", []),
        (as_array, "a.json", []),
        (as_gzip, "a.txt.gz", ["--encoding", "gb18030"]),
    ],
)
def test_formats_of_the_input(bert4keras, classifier, wanted, tmp_path, write, name, options):
    write(tmp_path / name)
    done = bert4keras("predict", classifier, tmp_path / name, *options)
    assert not done.stderr
    assert [row["answer"]["label"] for row in lines_of(done.stdout)] == wanted


def test_standard_input(bert4keras, classifier, wanted):
    plain = bert4keras("predict", classifier, "-", stdin="\n".join(TEXTS))
    objects = "\n".join(json.dumps({"text": text, "id": text[:1]}) for text in TEXTS)
    named = bert4keras("predict", classifier, "-", stdin=objects)
    for done in (plain, named):
        assert [row["answer"]["label"] for row in lines_of(done.stdout)] == wanted
    assert [row["id"] for row in lines_of(named.stdout)] == [text[:1] for text in TEXTS]


@pytest.mark.parametrize("form", ["csv", "tsv", "text"])
def test_formats_of_the_output(bert4keras, classifier, wanted, tmp_path, form):
    output = tmp_path / f"answers.{'txt' if form == 'text' else form}"
    done = bert4keras("predict", classifier, "-", "-o", output, "--json", stdin="\n".join(TEXTS))
    assert json.loads(done.stdout) == {
        "output": str(output),
        "answers": 4,
        "errors": 0,
        "kept": 0,
    }
    with open(output, encoding="utf-8", newline="") as file:
        if form == "text":
            assert file.read().splitlines() == wanted
            return
        rows = list(csv.DictReader(file, delimiter="," if form == "csv" else "\t"))
    assert [row["answer"] for row in rows] == wanted
    assert all(0 < float(row["score"]) <= 1 and row["line"] and not row["error"] for row in rows)


def test_answers_of_other_tasks(bert4keras, saved):
    question = json.dumps({"question": "the film", "context": "the film is good"})
    done = bert4keras("predict", saved("ExtractiveQA"), "-", stdin=question)
    assert {"text", "start", "end", "score", "passage"} == set(lines_of(done.stdout)[0]["answer"])
    done = bert4keras("predict", saved("Reranker"), "-", "--input-format", "tsv", stdin="a\tb\n")
    assert isinstance(lines_of(done.stdout)[0]["answer"], float)
    ranking = json.dumps({"query": "film", "texts": ["good", "bad", "story"]})
    done = bert4keras("predict", saved("Reranker"), "-", stdin=ranking)
    assert sorted(one["position"] for one in lines_of(done.stdout)[0]["answer"]) == [0, 1, 2]
    table = {"header": ["film"], "rows": [["good"]]}
    asked = json.dumps({"question": "good film", "table": table})
    done = bert4keras("predict", saved("TableQA"), "-", stdin=asked)
    assert lines_of(done.stdout)[0]["answer"]["text"].startswith("SELECT")
    done = bert4keras(
        "predict", saved("Tagger"), "-", "--output-format", "text", stdin="the film\n"
    )
    assert done.stdout.count("\n") == 1


BROKEN = (
    b'{"text": "good"}\n{"text": ""}\n{"text"\n{"label": "a"}\n{"text": "\xff"}\n{"text": "bad"}\n'
)


def test_lines_that_cannot_be_answered(bert4keras, classifier, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(BROKEN)
    done = bert4keras("predict", classifier, path)
    rows = lines_of(done.stdout)
    assert [row["line"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [number for number, row in enumerate(rows) if "answer" in row] == [0, 5]
    reasons = ["the text is empty", "no JSON", "which of label is the text", "byte 0xff is not"]
    for row, reason in zip(rows[1:5], reasons, strict=True):
        assert reason in row["error"]
        assert f"{path}, line {row['line']}: {row['error']}" in done.stderr
    assert done.stderr.rstrip().endswith("6 answers, 4 of them errors")
    stopped = bert4keras("predict", classifier, path, "--on-error", "stop")
    assert (stopped.exit_code, stopped.stdout) == (1, "")
    assert stopped.stderr == f"error: {path}, line 2: the text is empty\n"


def test_nothing_at_the_beginning_can_be_answered(bert4keras, saved, classifier):
    done = bert4keras("predict", saved("ExtractiveQA"), "-", stdin="text\ntext\n")
    assert done.exit_code == 1
    assert "no text at its beginning can be answered" in done.stderr
    assert "a question and its passage" in done.stderr
    done = bert4keras("predict", classifier, "-", "--input-format", "tsv", stdin="1\tx\ty\n")
    assert "which of 0, 1, 2 is the text? Say so: --text-column" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.txt"], "nowhere.txt: no such file."),
        (["."], ". is a directory, not a file of texts."),
        (["-", "--resume"], "--resume needs --output FILE."),
        (["-", "--encoding", "klingon"], "encoding that cannot be read line by line"),
        (
            ["-", "-o", "x", "--resume", "--overwrite"],
            "--resume and --overwrite exclude each other.",
        ),
        (
            ["-", "--input-format", "csv", "--text-column", "x"],
            "no column 'x' in the header: a, b.",
        ),
    ],
)
def test_wrong_use(bert4keras, classifier, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = bert4keras("predict", classifier, *arguments, stdin="a,b\n1,2\n")
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_broken_archive_and_utf_16(bert4keras, classifier, tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"good\n" * 999)[:-12])
    done = bert4keras("predict", classifier, tmp_path / "a.gz")
    assert "it cannot be unpacked" in done.stderr
    (tmp_path / "b.txt").write_text("good", encoding="utf-16")
    done = bert4keras("predict", classifier, tmp_path / "b.txt")
    assert "is in UTF-16 or UTF-32" in done.stderr


def test_an_output_that_exists_or_is_the_input(bert4keras, classifier, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good"}\n')
    done = bert4keras("predict", classifier, path, "-o", path)
    assert "is the input itself" in done.stderr
    output = tmp_path / "b.jsonl"
    output.write_text("precious\n")
    done = bert4keras("predict", classifier, path, "-o", output)
    assert "--resume goes on where it ends, --overwrite starts anew" in done.stderr
    assert output.read_text() == "precious\n"
    done = bert4keras("predict", classifier, path, "-o", output, "--resume")
    assert "its last line is not an answer" in done.stderr
    assert output.read_text() == "precious\n"
    output.write_text('{"line": 3, "answer": 1}\n')
    done = bert4keras("predict", classifier, path, "-o", output, "--resume")
    assert "the output has 1 answers, the last to line 3, which does not fit" in done.stderr
    assert bert4keras("predict", classifier, path, "-o", output, "--overwrite").exit_code == 0
    assert json.loads(output.read_text())["line"] == 1


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "txt"])
def test_resuming_after_a_cut(bert4keras, classifier, tmp_path, form):
    """Cut off in the first line, in the last group or nowhere, it becomes as of one run."""
    path, output = tmp_path / "a.txt", tmp_path / f"b.{form}"
    path.write_text("".join(f"{text}\n" for text in ["good", "", *TEXTS] * 4), encoding="utf-8")
    options = ["predict", classifier, path, "-o", output, "--batch-size", "1"]
    assert bert4keras(*options).exit_code == 0
    whole = output.read_bytes()
    assert whole.count(b"\n") == 24 + (form in ("csv", "tsv"))
    for cut in (20, len(whole) * 4 // 5, len(whole)):
        output.write_bytes(whole[:cut])
        done = bert4keras(*options, "--resume")
        assert done.exit_code == 0, done.stderr
        assert output.read_bytes() == whole


def test_rows_of_csv_over_several_lines(tmp_path):
    path = tmp_path / "a.csv"
    head = b"line,answer,score,error\n"
    path.write_bytes(head + b'1,"a\nb ""c""\n",,\n2,"half\n')
    file, count, line = open_output(str(path), "csv", resume=True, overwrite=False)
    file.close()
    assert (count, line) == (1, 1)
    assert path.read_bytes() == head + b'1,"a\nb ""c""\n",,\n'
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(Failure, match="does not begin like an answer file"):
        open_output(str(path), "csv", resume=True, overwrite=False)
    assert path.read_bytes() == b"a,b\n1,2\n"


KILLED = """
import sys, time
from bert4keras import tasks
from bert4keras.cli import main
predict = tasks.TextClassifier.predict
tasks.TextClassifier.predict = lambda *a, **b: (time.sleep(0.5), predict(*a, **b))[1]
main(sys.argv[1:])
"""


def test_killed_in_the_middle_and_resumed(bert4keras, classifier, tmp_path):
    path, one, two = (tmp_path / name for name in ("a.txt", "one.jsonl", "two.jsonl"))
    path.write_text("".join(f"{i} {TEXTS[i % 4]}\n" for i in range(96)), encoding="utf-8")
    options = ["predict", classifier, path, "--batch-size", "1"]
    assert bert4keras(*options, "-o", one).exit_code == 0
    command = [sys.executable, "-c", KILLED, *map(str, options), "-o", str(two)]
    env = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (two.exists() and two.stat().st_size) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = two.read_bytes().count(b"\n")
    assert 0 < kept < 96
    with open(two, "ab") as file:  # a line that was written in part
        file.write(b'{"line": 5')
    done = bert4keras(*options, "-o", two, "--resume", "--json")
    assert json.loads(done.stdout)["kept"] == kept
    if keras.backend.backend() != "tensorflow":
        assert two.read_bytes() == one.read_bytes()
        return
    # The tests turn Grappler off in their own process, not in the killed one.
    rows = [[json.loads(line) for line in file.read_text().splitlines()] for file in (one, two)]
    for whole, part in zip(*rows, strict=True):
        assert whole["line"] == part["line"]
        assert whole["answer"]["label"] == part["answer"]["label"]
        assert whole["answer"]["score"] == pytest.approx(part["answer"]["score"], abs=1e-6)


def test_one_wrong_sample_among_many():
    class Fake:
        calls = 0

        def predict(self, samples, batch_size, progress):
            self.calls += 1
            if any(sample == 13 for sample in samples):
                raise ValueError("thirteen")
            return [-sample for sample in samples]

    fake = Fake()
    found = predict_each(fake, list(range(64)))
    assert [x for x in found if not isinstance(x, Exception)] == [-i for i in range(64) if i != 13]
    assert str(found[13]) == "thirteen"
    assert fake.calls == 13
    assert predict_each(fake, []) == []


def test_the_input_is_read_as_it_is_needed(saved, tmp_path):
    """A million lines are not read before the first is answered."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\n" * 1_000_000)
    start = time.process_time()
    record = next(Source(str(path)).records(object()))
    assert (record.line, record.sample) == (1, "good")
    assert time.process_time() - start < 0.5

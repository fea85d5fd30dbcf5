"""The command `export`, and commands on what it wrote."""

from __future__ import annotations

import json
import sys

import pytest

from helpers import command_line, without_keras
from helpers.task_table import LONG, SHORT

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Keras for Python 3.10 has no OpenVINO backend"
)


@pytest.mark.spread(by="export")
def test_export_and_what_takes_it(saved, bert4keras, tmp_path):
    directory, exported = saved("TextClassifier"), tmp_path / "exported"
    labelled = tmp_path / "labelled.tsv"
    labelled.write_text(f"{SHORT}\ta\n{LONG}\tb\n", encoding="utf-8")
    done = bert4keras("export", directory, exported, "--samples", labelled, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["directory"] == str(exported)
    assert report["agreement"] == 1
    assert report["scores"]["accuracy"][0] == report["scores"]["accuracy"][1]
    assert report["difference"] < 1e-4
    assert "| same answers | 100.00% of 2 |" in (exported / "README.md").read_text()

    texts = f"{SHORT}\n{LONG}\n"
    wanted = [
        json.loads(line) for line in answers(bert4keras("predict", directory, "-", stdin=texts))
    ]
    found = [
        json.loads(line) for line in answers(bert4keras("predict", exported, "-", stdin=texts))
    ]
    assert [x["answer"]["label"] for x in found] == [x["answer"]["label"] for x in wanted]
    scores = bert4keras("evaluate", exported, labelled, "--json")
    assert json.loads(scores.stdout)["scores"] == {k: v[1] for k, v in report["scores"].items()}
    facts = json.loads(bert4keras("info", exported, "--json").stdout)
    assert facts["kind"] == "exported task: openvino, float32"
    assert facts["labels"] == ["a", "b"]
    assert facts["weights"] > 1000

    # A process without Keras answers; what needs Keras says so in one line.
    arguments = ["-m", "bert4keras", "predict"]
    done = without_keras.run(tmp_path / "site", [*arguments, str(exported), "-"], texts)
    assert [json.loads(line) for line in done.stdout.splitlines()] == found
    done = without_keras.run(tmp_path / "site", [*arguments, directory, "-"], texts)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Keras is not installed: pip install bert4keras[")
    assert len(done.stderr.splitlines()) == 1


def answers(done) -> list[str]:
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


@pytest.mark.spread(by="export")
def test_a_process_for_an_export_imports_no_keras(saved, bert4keras, tmp_path):
    exported = tmp_path / "exported"
    assert bert4keras("export", saved("TextClassifier"), exported).exit_code == 0
    (tmp_path / "texts.txt").write_text(SHORT + "\n", encoding="utf-8")
    _, names = command_line.imported(
        "bert4keras",
        "predict",
        exported,
        tmp_path / "texts.txt",
        "--output",
        tmp_path / "out.jsonl",
    )
    assert "numpy" in names
    assert not {"keras", "tensorflow", "jax", "torch"} & set(names)


@pytest.mark.spread(by="export")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "int8"], "calibration"),
        (["--format", "onnx", "--precision", "float16"], "does not exist for onnx"),
        (["--calibration", "absent.txt"], "absent.txt"),
    ],
)
def test_errors_are_one_line(options, message, saved, bert4keras, tmp_path):
    done = bert4keras("export", saved("TextClassifier"), tmp_path / "exported", *options)
    assert done.exit_code == 1
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "exported").exists()

"""`Predictor`: the answers of the task, column by column; a wrong row does not harm the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.batch_inference import Predictor
from bert4keras.batch_inference.threads import allotted_threads, limit_threads
from bert4keras.tasks.answers import to_json

pytestmark = pytest.mark.spread(by="predictor")

TEXTS = ["the film", "我爱北京", "the story is not very good", "bad"]


def column(*values) -> np.ndarray:
    """A column of an engine: an array of objects, also if these have equal lengths."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def numbers(rows) -> list[float]:
    """All scores of answers of a classifier, in order."""
    return [score for row in rows for score in row["scores"].values()]


def test_answers_of_the_task_and_errors_of_wrong_rows(saved):
    directory = saved("TextClassifier")
    rows = [TEXTS[0], "", *TEXTS[1:], None, float("nan")]
    batch = {"id": np.arange(7), "text": column(*rows)}
    found = Predictor(directory, batch_size=2)(batch)
    assert list(found) == ["id", "text", "answer", "error"]
    assert found["id"] is batch["id"]
    wrong = {1: "the text is empty", 5: "expected a text, not 'None'"}
    wrong[6] = "expected a text, not 'nan'"
    assert list(found["error"]) == [wrong.get(i) for i in range(7)]
    assert [answer is None for answer in found["answer"]] == [i in wrong for i in range(7)]
    answers = [json.loads(one) for one in found["answer"] if one]
    expected = to_json(tasks.load(directory).predict(TEXTS))
    assert [one["label"] for one in answers] == [one["label"] for one in expected]
    assert numbers(answers) == pytest.approx(numbers(expected), abs=1e-6)
    assert numbers(answers[::-1]) != pytest.approx(numbers(expected), abs=1e-3)


def test_fields_are_columns(saved):
    predictor = Predictor(saved("TextClassifier"), fields=("label", "score", "scores"))
    found = predictor({"text": np.array([TEXTS[0], " "])})  # not objects: a column of numpy
    assert list(found) == ["text", "label", "score", "scores", "error"]
    answer = predictor.task(TEXTS[0])
    assert (found["label"][0], found["label"][1]) == (answer.label, None)
    assert found["score"][0] == pytest.approx(answer.score, abs=1e-6)
    assert json.loads(found["scores"][0]) == pytest.approx(answer.scores, abs=1e-6)
    with pytest.raises(ValueError, match="TextClassifier have no 'place': label, score, scores"):
        Predictor(saved("TextClassifier"), fields=["place"])({"text": np.array(TEXTS)})
    with pytest.raises(ValueError, match="answers of a Tagger have no 'label': no named parts"):
        Predictor(saved("Tagger"), fields=["label"])({"text": np.array(TEXTS)})


def test_vectors_are_one_array(saved):
    predictor = Predictor(saved("SentenceEncoder"), output="vector")
    found = predictor({"text": column(*TEXTS, "")})
    expected = predictor.task.predict(TEXTS)
    assert (found["vector"].dtype, found["vector"].shape) == ("float32", (5, expected.shape[1]))
    np.testing.assert_allclose(found["vector"][:4], expected, atol=1e-5)
    assert np.isnan(found["vector"][4]).all()
    assert found["error"][4] == "the text is empty"
    for texts in ([""], []):
        assert predictor({"text": column(*texts)})["vector"].shape == (
            len(texts),
            expected.shape[1],
        )


def test_samples_of_several_columns(saved):
    questions, passages = column("the film", "story"), column("the film is good", "我爱北京")
    directory = saved("ExtractiveQA")
    found = Predictor(directory, ("question", "passage"))(
        {"passage": passages, "question": questions}
    )
    named = Predictor(directory, None)({"question": questions, "context": passages})
    expected = to_json(tasks.load(directory).predict(list(zip(questions, passages, strict=True))))
    for answers in (found["answer"], named["answer"]):
        assert [json.loads(one)["text"] for one in answers] == [one["text"] for one in expected]
    # Engines give lists as arrays.
    documents = column(np.array(["story", "good"], object), np.array(["bad"], object))
    found = Predictor(saved("Reranker"), ("query", "texts"))(
        {"query": questions, "texts": documents}
    )
    assert [len(json.loads(one)) for one in found["answer"]] == [2, 1]
    assert list(found["error"]) == [None, None]


def test_wrong_use_ends_in_one_clear_error(saved):
    directory, texts = saved("TextClassifier"), {"text": np.array(["the film", ""])}
    with pytest.raises(ValueError, match="row 1 of a batch: the text is empty"):
        Predictor(directory, on_error="stop")(texts)
    assert "error" not in Predictor(directory, on_error="stop")({"text": np.array(["the film"])})
    with pytest.raises(ValueError, match="the data has a column 'text' already; choose other"):
        Predictor(directory, output="text")(texts)
    with pytest.raises(ValueError, match="there is no 'title' among text"):
        Predictor(directory, "title")(texts)
    with pytest.raises(ValueError, match=r"which of a, b is the text\? Say so: column="):
        Predictor(directory, None)({"a": texts["text"], "b": texts["text"]})
    with pytest.raises(ValueError, match="on_error='ignore' must be one of skip, stop"):
        Predictor(directory, on_error="ignore")
    with pytest.raises(ValueError, match="fields='label' must be a list of names"):
        Predictor(directory, fields="label")
    with pytest.raises(ValueError, match="threads=-1 must be at least 1"):
        Predictor(directory, threads=-1)


def test_threads_that_an_engine_allots(monkeypatch):
    for value, expected in {"3": 3, "4,2": 4, "": None, "0": None, "many": None}.items():
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert allotted_threads() == expected
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert allotted_threads() is None
    with pytest.raises(ValueError, match="threads=0 must be at least 1"):
        limit_threads(0)


THREADS = """
import os, sys
from bert4keras.batch_inference import Predictor
Predictor(sys.argv[1])
threads = [open(f"/proc/self/task/{i}/comm").read() for i in os.listdir("/proc/self/task")]
backend = os.environ["KERAS_BACKEND"]
if backend == "torch":
    import torch
    print(torch.get_num_threads())
else:
    mark = {"jax": "tf_XLAEigen", "tensorflow": "tf_Compute"}[backend]
    print(sum(name.startswith(mark) for name in threads))
"""


@pytest.mark.skipif(
    not os.path.isdir("/proc/self/task"), reason="threads are counted on Linux only"
)
@pytest.mark.spread(by="predictor")
def test_a_worker_has_the_threads_of_its_cpus(saved):
    """One where the engine says so; another number where it says another."""
    backend, found = keras.backend.backend(), []
    for count in ("1", "3"):
        environment = {**os.environ, "OMP_NUM_THREADS": count, "KERAS_BACKEND": backend}
        environment = {k: v for k, v in environment.items() if not k.startswith("TF_NUM_")}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", THREADS, saved("TextClassifier")],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(int(done.stdout))
    assert found == [1, 3]

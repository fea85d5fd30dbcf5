"""Ray Data with two actors: the answers of one process, also if one of the actors is killed."""

from __future__ import annotations

import collections
import itertools
import json
import subprocess
import sys

import pytest

from bert4keras import tasks
from bert4keras.tasks.answers import to_json
from helpers.engines import ENVIRONMENT, texts
from helpers.task_table import build

pytestmark = pytest.mark.spread

RUN = """
import json, os, signal, sys
import ray
from bert4keras.batch_inference import Predictor

directory, source, killed, out = sys.argv[1:]

class Killed(Predictor):
    # The first actor that has answered two batches is killed in its third, once.
    calls = 0

    def __call__(self, batch):
        self.calls += 1
        if self.calls == 3:
            try:
                with open(killed, "x") as file:
                    file.write(str(os.getpid()))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return {**super().__call__(batch), "process": [os.getpid()] * len(batch["text"])}

ray.init(num_cpus=2, include_dashboard=False)
rows = [{"id": i, "text": text} for i, text in enumerate(json.load(open(source)))]
answered = ray.data.from_items(rows).map_batches(
    Killed, fn_constructor_args=(directory,), batch_size=500, num_cpus=1,
    compute=ray.data.ActorPoolStrategy(size=2),
)
json.dump(answered.take_all(), open(out, "w"))
"""


def test_ten_thousand_texts_and_a_killed_worker(tmp_path):
    directory, count = tmp_path / "task", 10_000
    task = build("TextClassifier", "bert")
    task.save(directory)
    samples = texts(task.tokenizer, count)
    (tmp_path / "texts.json").write_text(json.dumps(samples), encoding="utf-8")
    files = [tmp_path / name for name in ("texts.json", "killed", "answers.json")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, *map(str, (directory, *files))],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = sorted(json.loads(files[2].read_text()), key=lambda row: row["id"])
    assert [row["text"] for row in rows] == samples  # each once
    assert {row["error"] for row in rows} == {None}
    counts = collections.Counter(row["process"] for row in rows)
    assert counts[int(files[1].read_text())] <= 1000  # of the killed one: its first two batches
    assert len(counts) > 1
    answers = [json.loads(row["answer"]) for row in rows]
    expected = to_json(tasks.load(directory).predict(samples))
    # The last digits depend on the other texts of a batch.
    off = [
        abs(found["scores"][label] - score)
        for found, one in zip(answers, expected, strict=True)
        for label, score in one["scores"].items()
    ]
    assert max(off) < 1e-5
    clear = [i for i, one in enumerate(expected) if abs(one["score"] - 0.5) > 1e-5]
    assert [answers[i]["label"] for i in clear] == [expected[i]["label"] for i in clear]
    # The texts differ, so answers in another order would be found.
    neighbours = itertools.pairwise(one["scores"]["a"] for one in expected)
    assert sum(abs(a - b) > 1e-4 for a, b in neighbours) > 0.9 * count

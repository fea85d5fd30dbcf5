"""Every task on every family that can carry it: built, trained, padded, saved and loaded.

A row of `helpers.task_table` says how a task is built on an encoder and what it is trained on and
asked. A task that is registered and has no row fails a test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bert4keras import tasks
from bert4keras.models import FAMILIES
from helpers import family_models, fresh_process
from helpers.task_table import ELSEWHERE, ONE_WAY, ROWS, TABLE, TOKENIZERS, Row, build, values

pytestmark = pytest.mark.spread

CASES = [(n, f) for n, row in TABLE.items() for f in family_models.SINGLE if f not in row.without]


def assert_same(found: Any, wanted: Any) -> None:
    found, wanted = values(found), values(wanted)
    numbers = [[x for x in some if isinstance(x, float)] for some in (found, wanted)]
    others = [[x for x in some if not isinstance(x, float)] for some in (found, wanted)]
    assert others[0] == others[1]
    np.testing.assert_allclose(*numbers, rtol=1e-3, atol=1e-4)


@pytest.mark.spread
@pytest.mark.parametrize(("name", "family"), CASES)
def test_a_task_on_a_family(name, family, tmp_path):
    row, task = TABLE[name], build(name, family)
    if row.trained is not None:
        assert_trains(row, task)

    ask = list(row.ask or [sample for sample, _ in row.train])
    together = task.predict(ask)
    for sample, answer in zip(ask, together, strict=True):
        assert_same(task(sample), answer)
    task.save(tmp_path / "saved")
    again = tasks.load(tmp_path / "saved")
    assert type(again) is type(task)
    assert_same(again.predict(ask), together)


def assert_trains(row: Row, task: tasks.Task) -> None:
    """Two steps change a weight, and the loss is a number."""
    before = [np.array(keras.ops.convert_to_numpy(w)) for w in task.model.trainable_weights]
    model = row.trained(task)
    model.compile(keras.optimizers.Adam(1e-3), task.loss, run_eagerly=True)
    history = model.fit(task.batches(row.train, 2, shuffle=True), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    after = [keras.ops.convert_to_numpy(w) for w in task.model.trainable_weights]
    assert any((x != y).any() for x, y in zip(before, after, strict=True))


def test_every_task_has_its_row():
    assert set(tasks.TASKS) <= {*ROWS, *ELSEWHERE}


def test_every_family_has_a_tokenizer_of_its_kind():
    assert set(TOKENIZERS) <= set(FAMILIES)
    assert set(ONE_WAY) <= set(TOKENIZERS)


CODE = """
import json, sys
from bert4keras import tasks
from helpers.task_table import TABLE, values
answers = {}
for path in sys.argv[1:]:
    name = path.rsplit("/", 1)[-1]
    row = TABLE[name]
    ask = list(row.ask or [sample for sample, _ in row.train])
    answers[name] = values(tasks.load(path).predict(ask))
print(json.dumps(answers))
"""


def test_in_a_fresh_process_on_another_backend(tmp_path):
    """A task saved on one backend answers the same on the next."""
    if not fresh_process.its_turn():
        pytest.skip("another backend's turn")
    wanted = {}
    for name, family in zip(TABLE, ["roberta", "albert", "modernbert", "bert"] * 9, strict=False):
        task = build(name, family)
        task.save(tmp_path / name)
        ask = list(TABLE[name].ask or [sample for sample, _ in TABLE[name].train])
        wanted[name] = values(task.predict(ask))
    backends = ("tensorflow", "jax", "torch")
    following = backends[(backends.index(keras.backend.backend()) + 1) % len(backends)]
    paths = [str(Path(__file__).parents[1]), *sys.path]
    env = {**os.environ, "KERAS_BACKEND": following, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-W", "ignore", "-c", CODE]
    command += [str(tmp_path / name) for name in wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name, answer in wanted.items():
        assert_same(found[name], answer)

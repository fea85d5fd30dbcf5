"""Models of every family and tasks of every kind, saved here and run on the backend OpenVINO."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.family_models import SINGLE
from helpers.saved_tasks import ROWS, save_models, save_tasks

pytestmark = [
    pytest.mark.spread(by="openvino", over="torch"),
    pytest.mark.skipif(
        sys.version_info < (3, 11),
        reason="this backend needs Keras 3.15, which needs Python 3.11",
    ),
]
CHILD = Path(__file__).parent / "helpers" / "openvino_child.py"
MODELS = (*SINGLE, "t5", "mt5")


class Run:
    """Results of this backend, and those that the process on OpenVINO wrote."""

    def __init__(self, directory: Path):
        self.outputs, self.answers = save_models(directory), save_tasks(directory)
        paths = [str(Path(__file__).parent), *sys.path]
        env = {**os.environ, "KERAS_BACKEND": "openvino", "PYTHONPATH": os.pathsep.join(paths)}
        env.pop("BERT4KERAS_OPENVINO_PRECISION", None)
        command = [sys.executable, "-W", "ignore", str(CHILD), str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=env)
        assert done.returncode == 0, done.stderr[-3000:]
        self._found = json.loads(done.stdout.splitlines()[-1])
        self.messages = self._found["errors"]

    def found(self, kind: str, name: str) -> Any:
        """The result of a case; the traceback of one that failed is shown."""
        value = self._found[kind][name]
        assert not isinstance(value, str), value
        return value


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return Run(tmp_path_factory.mktemp("openvino"))


def numbers(values: list[Any]) -> np.ndarray:
    return np.array([x for x in values if isinstance(x, float)])


@pytest.mark.parametrize("name", MODELS)
def test_the_outputs_of_a_model(name, run):
    wanted, found = run.outputs[name], run.found("models", name)
    np.testing.assert_allclose(found["outputs"], wanted, atol=2e-5)
    # Another length, in the graph that was made before.
    np.testing.assert_allclose(found["short"], found["short_eager"], atol=2e-5)
    assert found["graphs"] == 1
    # The test can fail: one weight less, and new weights are used.
    assert np.abs(np.array(found["changed"]) - wanted).max() > 1e-3


@pytest.mark.parametrize("name", ROWS)
def test_the_answers_of_a_task(name, run):
    wanted, found = run.answers[name], run.found("tasks", name)
    np.testing.assert_allclose(numbers(found), numbers(wanted), rtol=1e-3, atol=1e-4)
    others = [[x for x in some if not isinstance(x, float)] for some in (found, wanted)]
    assert others[0] == others[1]


def test_what_fails_says_why(run):
    errors = run.messages
    assert "segment id 2 at (1, 3) is outside the model's 2 segments" in errors["id"]
    assert "OpenVINO only predicts. Train with KERAS_BACKEND=tensorflow" in errors["fit"]
    assert "'fp8'; it must be one of f32, bf16, f16" in errors["precision"]

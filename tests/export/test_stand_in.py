"""Without Keras tasks can be imported; what needs it says so, and other modules see none."""

from __future__ import annotations

import pytest

from helpers import without_keras

pytestmark = pytest.mark.spread(by="stand-in")

IMPORTED = """
import importlib, sys
import bert4keras
from bert4keras import tasks
from bert4keras.tasks.tagging import ConditionalRandomField, viterbi
print([name for name in sys.modules if name.partition(".")[0] == "keras"])
for use in (
    lambda: importlib.import_module("keras"),
    lambda: ConditionalRandomField(),
    lambda: tasks.TextClassifier.build("minilm", ["a"]),
    lambda: __import__("bert4keras.losses", fromlist=["x"]).cosent(1, 2),
):
    try:
        print("no error:", use())
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
print(viterbi([[[1.0, 0.0], [0.0, 3.0]]], [[0.0, 0.0], [0.0, 0.0]])[0].tolist())
"""


def test_without_keras(tmp_path):
    (tmp_path / "minilm").mkdir()
    done = without_keras.run(tmp_path / "site", ["-c", IMPORTED])
    assert done.returncode == 0, done.stderr
    modules, *errors, labels = done.stdout.splitlines()
    assert modules == "[]"
    assert errors[0] == "ModuleNotFoundError: No module named 'keras'"
    assert errors[1].startswith("ModuleNotFoundError: bert4keras.tasks.tagging.")
    assert "needs Keras, which is not installed: pip install keras" in errors[1]
    assert not errors[2].startswith("no error")
    assert errors[3].startswith("ModuleNotFoundError: keras.")
    assert labels == "[0, 1]"


def test_with_keras_it_is_keras(tmp_path):
    import keras

    from bert4keras.tasks.tagging import ConditionalRandomField

    assert issubclass(ConditionalRandomField, keras.layers.Layer)

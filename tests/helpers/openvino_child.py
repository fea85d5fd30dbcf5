"""Process on OpenVINO: load what `helpers.saved_tasks` saved, run it, and print what was found."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from bert4keras import tasks
from helpers import family_models
from helpers.saved_tasks import ROWS, ask, model_inputs


def of_model(path: Path) -> dict[str, Any]:
    """Outputs for rows of two lengths, and after a weight has changed."""
    model = keras.models.load_model(path, compile=False)
    inputs = model_inputs(model)
    outputs = model.predict(inputs, verbose=0)
    graph = model.ov_compiled_model
    short = [array[:, :4] for array in inputs]
    found = {"outputs": outputs, "short": model.predict(short, verbose=0)}
    graphs = 1 + (model.ov_compiled_model is not graph)
    weight = max(model.trainable_weights, key=lambda w: "token" in w.path.lower())
    weight.assign(keras.ops.convert_to_numpy(weight)[::-1])
    found["changed"] = model.predict(inputs, verbose=0)
    weight.assign(keras.ops.convert_to_numpy(weight)[::-1])
    found["short_eager"] = family_models.call(model, short)
    return {"graphs": graphs, **{name: x.tolist() for name, x in found.items()}}


def answers(path: Path) -> list[Any]:
    """The answers of a saved task."""
    return ask(path.name, tasks.load(path))


def message(function: Callable[[], Any]) -> str:
    """The message of the error that a call raises."""
    try:
        function()
    except Exception as error:
        return str(error)
    return "no error"


def errors(directory: Path) -> dict[str, str]:
    """Messages of what fails."""
    model = keras.models.load_model(directory / "bert.keras", compile=False)
    tokens, segments = model_inputs(model)
    model.compile("adam", "mse")
    wrong = segments.copy()
    wrong[1, 3] = 2
    # A model that is no Backbone: the id is checked by the graph.
    wrapped = keras.Model(model.inputs, model.output)
    found = {"fit": message(lambda: model.fit([tokens, segments], tokens, verbose=0))}
    found["id"] = message(lambda: wrapped.predict([tokens, wrong], verbose=0))
    os.environ["BERT4KERAS_OPENVINO_PRECISION"] = "fp8"
    found["precision"] = message(lambda: model.predict([tokens, segments], verbose=0))
    return found


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call, or the traceback of its error: other cases go on."""
    try:
        return function(*arguments)
    except Exception:
        return traceback.format_exc()


def main(directory: Path) -> None:
    models = {path.stem: attempt(of_model, path) for path in directory.glob("*.keras")}
    answered = {name: attempt(answers, directory / name) for name in ROWS}
    result = {"models": models, "tasks": answered, "errors": attempt(errors, directory)}
    print(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

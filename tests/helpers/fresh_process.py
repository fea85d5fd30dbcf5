"""Outputs of saved models in a fresh process.

A process imports its backend for some ten seconds. Each test starts one on one of the three
backends, chosen by its name, and on the others loads the files in its own process, which shows the
same but that importing the heads is enough to know them. See `helpers.spread`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from helpers.spread import runs_here

CODE = """
import sys, keras, numpy as np
import bert4keras.tasks, bert4keras.models
for path in sys.argv[1:]:
    model = keras.models.load_model(path + ".keras", compile=False)
    with np.load(path + ".npz") as arrays:
        y = model([arrays[f"arr_{i}"] for i in range(len(model.inputs))], training=False)
    np.save(path + ".npy", keras.ops.convert_to_numpy(y))
"""


def its_turn() -> bool:
    """Return whether the test that runs now starts a process on this backend."""
    name = os.environ["PYTEST_CURRENT_TEST"].rsplit(" ", 1)[0]
    return runs_here(name)


def outputs(model: keras.Model, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The output of a model, computed as a fresh process computes it."""
    y = model([ops.convert_to_tensor(array) for array in inputs], training=False)
    return ops.convert_to_numpy(y)


def fresh_outputs(
    directory: Path, models: Mapping[str, tuple[keras.Model, Sequence[np.ndarray]]]
) -> dict[str, np.ndarray]:
    """Save models of one output, load all elsewhere (see above), and return their outputs by name.

    Args:
        directory: an empty one.
        models: by name, with their inputs.
    """
    for name, (model, inputs) in models.items():
        model.save(directory / f"{name}.keras", include_optimizer=False)
        np.savez(directory / f"{name}.npz", *inputs)
    if not its_turn():
        load = keras.models.load_model
        loaded = {name: load(directory / f"{name}.keras", compile=False) for name in models}
        return {name: outputs(loaded[name], inputs) for name, (_, inputs) in models.items()}
    paths = [str(directory / name) for name in models]
    command = [sys.executable, "-W", "ignore", "-c", CODE, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: np.load(f"{path}.npy") for name, path in zip(models, paths, strict=True)}

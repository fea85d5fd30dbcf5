"""Kill processes that save in a loop, at random times, and look at what they leave.

`run(case, directory)` starts this file as a script. It forks children from one process which has
imported everything, so that a kill costs milliseconds; on Keras' numpy backend, whose processes
may be forked. A case saves its n-th version under `directory`, and reads what is there, which must
be one version as a whole.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

KILLS = 30
Case = tuple[Callable[[int], Any], Callable[[], int], set[str]]  # save, read, files in the end


def run(case: str, directory: Path, seed: int = 0) -> dict[str, Any]:
    """Kill KILLS savers; returns what each left, and the files in the end."""
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    command = [sys.executable, "-W", "ignore", __file__, case, str(directory), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def vocabulary(directory: Path) -> Case:
    from bert4keras.tokenizers import load_vocab, save_vocab

    path = directory / "vocab.txt"

    def save(n):
        save_vocab(path, {f"{n}-{i}": i for i in range(20_000)})

    def read():
        found = load_vocab(path)
        assert len(found) == 20_000
        (version,) = {token.split("-")[0] for token in found}
        return int(version)

    return save, read, {path.name}


def index(directory: Path) -> Case:
    import numpy as np

    from bert4keras.tasks.similarity import VectorIndex

    path = directory / "index.npz"

    def save(n):
        VectorIndex(np.full((2000, 100), n + 1.0), [str(n)] * 2000, metric="dot").save(path)

    def read():
        found = VectorIndex.load(path)
        (version,) = set(found.texts)
        assert (found.vectors == int(version) + 1).all()
        return int(version)

    return save, read, {path.name}


def _model():
    from bert4keras import TransformerConfig, build_transformer_model

    sizes = {"vocab_size": 5000, "hidden_size": 16, "intermediate_size": 16}
    config = TransformerConfig(num_hidden_layers=2, num_attention_heads=2, **sizes)
    return build_transformer_model(config)


def _fill(model, n):
    for weight in model.weights:
        weight.assign(0 * weight.value + n)


def _version(arrays) -> int:
    import numpy as np

    (version,) = {float(value) for array in arrays for value in np.unique(array)}
    return int(version)


def checkpoint(directory: Path) -> Case:
    from bert4keras.checkpoints import open_checkpoint
    from bert4keras.checkpoints import save as save_checkpoint

    model = _model()

    def save(n):
        _fill(model, n)
        save_checkpoint(model, directory)

    def read():
        json.loads((directory / "config.json").read_text())
        with open_checkpoint(directory / "model.safetensors") as reader:
            return _version(reader.read(name) for name in reader.names)

    return save, read, {"config.json", "model.safetensors"}


def keras_file(directory: Path) -> Case:
    import keras

    from bert4keras import save_model

    model, path = _model(), directory / "m.keras"

    def save(n):
        _fill(model, n)
        save_model(model, path)

    def read():
        return _version(keras.models.load_model(path).get_weights())

    return save, read, {path.name}


def evaluator(directory: Path) -> Case:
    from bert4keras import Evaluator
    from bert4keras.training.evaluator import _read_note

    model, path, numbers = _model(), directory / "best.weights.h5", []

    def save(n):
        _fill(model, n)
        if not numbers:
            numbers.append(Evaluator(lambda: model.get_weights()[0].flat[0], path, verbose=0))
            numbers[0].set_model(model)
            numbers[0].on_train_begin()
        numbers[0].on_epoch_begin(n)
        numbers[0].on_epoch_end(n)

    def read():
        model.load_weights(path)
        version = _version(model.get_weights())
        assert _read_note(path)["best"] == version
        results = json.loads(path.with_suffix(".json").read_text())
        assert abs(results["best"] - version) <= 1  # written after the weights
        return version

    return save, read, {"best.weights.h5", "best.weights.json"}


CASES = {case.__name__: case for case in (vocabulary, index, checkpoint, keras_file, evaluator)}


def main(case: str, directory: str, seed: str) -> None:
    folder, rng = Path(directory), random.Random(int(seed))
    save, read, files = CASES[case](folder)
    save(0)
    begin = time.monotonic()
    for n in (1, 2, 3):
        save(n)
    duration = (time.monotonic() - begin) / 3
    versions, hidden = [], []
    for _ in range(KILLS):
        last = read()
        child = os.fork()
        if not child:
            while True:
                last += 1
                save(last)
        time.sleep(rng.uniform(0, 3 * duration))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        versions.append(read())
        hidden.append(sum(path.name not in files for path in folder.iterdir()))
    save(versions[-1] + 1)
    found = {"versions": versions, "hidden": hidden, "read": read() - versions[-1]}
    names = sorted(path.name for path in folder.iterdir())
    print(json.dumps({**found, "files": names, "expected": sorted(files)}))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A training that is stopped and resumed equals one that is not, to the last bit."""

from __future__ import annotations

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from bert4keras.data import DataGenerator
from bert4keras.training import BackupAndRestore
from helpers import resuming
from helpers.fresh_process import its_turn
from helpers.resuming import DATA, make_model, train

# Keras itself meets this one when it turns torch tensors into arrays.
pytestmark = [
    pytest.mark.spread,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def in_another_process(*arguments) -> int:
    command = [sys.executable, "-W", "ignore", resuming.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=300).returncode


def read(path) -> list[np.ndarray]:
    with np.load(path) as arrays:
        return [arrays[name] for name in arrays.files]


def equal(first, second) -> bool:
    return all((a == b).all() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("feed", "at", "dropout"),
    [("itself", (1, 2), 0.0), ("itself", (0, -1), 0.3), ("5", (1, 2), 0.0)],
)
def test_resumed_as_if_never_stopped(feed, at, dropout, tmp_path):
    """The resumed process has another seed, which is replaced by that of the first."""
    backup, target = tmp_path / "backup", tmp_path / "found.npz"
    if its_turn():
        assert in_another_process(tmp_path / "whole", target, feed, dropout, 4) == 0
        whole = read(target)
        assert in_another_process(backup, target, feed, dropout, 4, *at) == 9  # killed
        assert in_another_process(backup, target, feed, dropout, "") == 0
        resumed = read(target)
    else:
        whole = train(tmp_path / "whole", feed, dropout=dropout, seed=4)
        with pytest.raises(InterruptedError):
            train(backup, feed, at, dropout=dropout, seed=4)
        resumed = train(backup, feed, dropout=dropout)
    assert not (tmp_path / "whole").exists()
    assert equal(whole, resumed)
    # Negative control: the order of the data matters.
    assert not equal(whole, train(tmp_path / "other", feed, dropout=dropout, seed=5))


@pytest.mark.parametrize(("place", "files"), [((1, 2), 0), ((0, 2), 2)])
def test_of_several_processes_the_first_one_saves(place, files, tmp_path, monkeypatch):
    monkeypatch.setattr("bert4keras.training.backup.process_place", lambda: place)
    with pytest.raises(InterruptedError):
        train(tmp_path / "a", at=(1, 2), seed=4)
    assert len(list((tmp_path / "a").glob("*"))) == files
    if files:  # another one that ends earlier leaves the backup
        monkeypatch.setattr("bert4keras.training.backup.process_place", lambda: (1, 2))
        train(tmp_path / "a", seed=4)
        assert len(list((tmp_path / "a").glob("*"))) == files


def test_resumed_by_the_callback_of_keras_with_a_seed(tmp_path):
    with pytest.raises(InterruptedError):
        train(tmp_path / "a", at=(1, 2), plain=True, seed=4)
    assert equal(train(tmp_path / "a", plain=True, seed=4), train(tmp_path / "b", seed=4))


def seen_in_fits(model, generator, *fits):
    """The running means of the losses, batch by batch and fit by fit."""
    seen = []
    for options in fits:
        record = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: seen.append(round(logs["loss"], 5))
        )
        model.fit(generator, callbacks=[record], verbose=0, **options)
    return seen


def test_order_is_that_of_the_epoch_whatever_keras_shuffles():
    make = lambda: DataGenerator(DATA, 3, encode=lambda s: s, shuffle=True, seed=1, workers=1)  # noqa: E731
    ids = keras.Input((None,), dtype="int32")
    x = keras.ops.sum(keras.ops.cast(ids, "float32"), axis=1, keepdims=True)
    model = keras.Model(ids, keras.layers.Dense(1, kernel_initializer="ones")(x))
    model.compile(keras.optimizers.SGD(0.0), lambda y, p: p[:, 0])
    whole = seen_in_fits(model, make(), {"epochs": 3})
    assert seen_in_fits(model, make(), {"epochs": 3, "shuffle": False}) == whole
    assert seen_in_fits(model, make(), {"epochs": 3, "initial_epoch": 1}) == whole[7:]
    # In one process, another fit goes on with other orders, with or without `initial_epoch`.
    later = {"epochs": 3, "initial_epoch": 2}
    assert seen_in_fits(model, make(), {"epochs": 1}, {"epochs": 1}, later) == whole
    assert whole[:7] != whole[7:14]


def test_what_cannot_be_resumed_is_refused(tmp_path):
    data = DataGenerator(DATA, 3, encode=lambda s: s, shuffle=True)
    with pytest.raises(ValueError, match=r"save_freq=5 must be 'epoch'"):
        BackupAndRestore(tmp_path, data, save_freq=5)
    with pytest.raises(ValueError, match="whose data has a length, not list"):
        BackupAndRestore(tmp_path, DATA)
    model = make_model()
    with pytest.raises(ValueError, match="steps_per_epoch=3, but an epoch of its"):
        model.fit(data, steps_per_epoch=3, epochs=2, verbose=0)
    with pytest.raises(Exception, match="fit resumes at epoch 1, but forfit"):
        model.fit(
            data.forfit(), steps_per_epoch=7, epochs=3, initial_epoch=1, verbose=0, shuffle=False
        )
    state = {"epoch": 1, "seed": 2, "batches": 7, "dropout": [], "weights": "w.weights.h5"}
    (tmp_path / "w.weights.h5").touch()
    for text, message in [
        ("{", "not a backup that can be resumed"),
        ("[1]", "not a backup that can be resumed"),
        (json.dumps({**state, "samples": 20, "batch_size": 3, "epoch": "1"}), "not a backup"),
        (json.dumps({**state, "samples": 21, "batch_size": 3}), "samples=21, but this data has 20"),
        (
            json.dumps({**state, "samples": 20, "batch_size": 4}),
            "batch_size=4, but this data has 3",
        ),
    ]:
        (tmp_path / "backup.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            BackupAndRestore(tmp_path, data)


@pytest.mark.slow
def test_killed_at_any_time(tmp_path):
    """Thirty kills in all, of one training, at any moment: it ends as if there had been none."""
    backup, target = tmp_path / "backup", tmp_path / "found.npz"
    assert in_another_process(tmp_path / "whole", target, "itself", 0, 4) == 0
    whole, rng = read(target), np.random.default_rng(0)
    target.unlink()
    command = [sys.executable, "-W", "ignore", resuming.__file__, backup, target, "itself", "0"]
    for _ in range(30):
        process = subprocess.Popen([*map(str, command), "4"], stderr=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(5, 20))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if not target.exists():
        assert in_another_process(*command[4:], 4) == 0
    assert equal(whole, read(target))
    assert not backup.exists()

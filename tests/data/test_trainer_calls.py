"""Data sets know the `fit` they are asked by, without looking at the stack of another thread."""

from __future__ import annotations

import copy
import gc
import sys
import threading
import weakref

import keras
import numpy as np
import pytest

from bert4keras._compat import TrainerCalls

pytestmark = pytest.mark.spread


class Asking(keras.utils.PyDataset):
    """Remembers the call that it is asked by, for each batch, and the thread."""

    def __init__(self, **options):
        super().__init__(**options)
        self.calls, self.seen = TrainerCalls(), []

    @property
    def num_batches(self):
        self.calls.current()
        return 3

    def __getitem__(self, index):
        in_main = threading.current_thread() is threading.main_thread()
        call = self.calls.current()
        self.seen.append((call.name, call.epoch, in_main))
        return np.ones((2, 1)), np.ones((2, 1))


def compiled():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_workers_know_the_epoch(monkeypatch):
    def forbidden():
        raise AssertionError("the frames of another thread may be half destroyed")

    monkeypatch.setattr(sys, "_current_frames", forbidden)
    model, data = compiled(), Asking(workers=2)
    model.fit(data, epochs=2, shuffle=False, verbose=0)
    model.fit(data, epochs=5, initial_epoch=4, shuffle=False, verbose=0)
    in_threads = [(name, epoch) for name, epoch, in_main in data.seen if not in_main]
    # Keras on JAX and torch also asks before the first epoch.
    in_epochs = [(name, epoch) for name, epoch in in_threads if epoch is not None]
    assert in_epochs == [("fit", epoch) for epoch in (0, 1, 4) for _ in range(3)]
    data.seen.clear()
    model.predict(data, verbose=0)
    assert {(name, epoch) for name, epoch, _ in data.seen} == {("predict", None)}


def test_nothing_is_kept_alive():
    model, data = compiled(), Asking(workers=2)
    model.fit(data, shuffle=False, verbose=0)
    alive = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert alive() is None
    found = []
    thread = threading.Thread(target=lambda: found.append(data.calls.current()))
    thread.start()
    thread.join()
    assert found == [None]
    assert copy.deepcopy(data.calls).current() is None

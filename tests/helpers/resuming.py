"""A small training that can be stopped and resumed; run as a script, in another process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import keras
import numpy as np

from bert4keras.data import DataGenerator
from bert4keras.optimizers import (
    EMA,
    Accumulate,
    ExtendedOptimizer,
    Lookahead,
    PiecewiseLinear,
    WithEMA,
)
from bert4keras.training import BackupAndRestore

RNG = np.random.default_rng(3)
DATA = [(RNG.integers(1, 50, n).tolist(), int(n % 2)) for n in RNG.integers(1, 12, 20)]
EPOCHS = 3


class Stop(keras.callbacks.Callback):
    """Stops at an (epoch, batch), batch -1 after the epoch, by a kill or an exception."""

    def __init__(self, at, kill):
        super().__init__()
        self.at, self.kill, self.epoch = at, kill, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.stop(batch)

    def on_epoch_end(self, epoch, logs=None):
        self.stop(-1)

    def stop(self, batch):
        if (self.epoch, batch) == self.at:
            if self.kill:
                os._exit(9)
            raise InterruptedError


def make_model(dropout=0.0):
    """Built with the same weights in every process; the optimizer has every kind of state."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(50, 4)(ids)
    x = keras.layers.Dropout(dropout, seed=2)(keras.layers.Dense(8, "tanh")(x))
    y = keras.layers.Dense(1, "sigmoid")(keras.layers.GlobalAveragePooling1D()(x))
    model = keras.Model(ids, y)
    rate = PiecewiseLinear(0.05, {3: 1.0, 12: 0.1})
    optimizer = ExtendedOptimizer(
        keras.optimizers.Adam(rate), [Accumulate(2), Lookahead(3), EMA(0.9)]
    )
    model.compile(optimizer, "binary_crossentropy")
    return model


def train(directory, feed="itself", at=None, kill=False, dropout=0.0, plain=False, seed=None):
    """All variables after EPOCHS epochs, resumed from `directory` if there is something.

    Args:
        directory: of the backup.
        feed: "itself", or the steps of an epoch of `forfit()`.
        at: where to stop, for `Stop`.
        kill: by a kill.
        plain: with Keras' callback in place of ours.
        seed: of the data; a resumed training is given none.
    """
    model = make_model(dropout)
    np.random.seed(None)
    encode = lambda sample: (np.array(sample[0]), sample[1])  # noqa: E731
    data = DataGenerator(DATA, 3, encode=encode, shuffle=True, seed=seed)
    backup = keras.callbacks.BackupAndRestore(directory) if plain else None
    backup = backup or BackupAndRestore(directory, data)
    callbacks = [backup, WithEMA(), *([Stop(at, kill)] if at else [])]
    options = {} if feed == "itself" else {"steps_per_epoch": int(feed), "shuffle": False}
    given = data if feed == "itself" else data.forfit()
    model.fit(given, epochs=EPOCHS, callbacks=callbacks, verbose=0, **options)
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(v) for v in variables if "seed" not in v.path]


if __name__ == "__main__":
    backup, target, feed, dropout, seed, *where = sys.argv[1:]
    at = tuple(map(int, where)) or None
    seed = int(seed) if seed else None
    values = train(backup, feed, at, kill=True, dropout=float(dropout), seed=seed)
    np.savez(Path(target), *values)

"""Callback that resumes an interrupted training with the same result as without interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from .._compat import (
    generator_states,
    process_place,
    restore_generators,
    seed_states,
    start_at_epoch,
)
from .._files import atomic_file
from ..data import DataGenerator
from ..saving import save_weights


class BackupAndRestore(keras.callbacks.Callback):
    """Save model, optimizer and the order of the data after each epoch, and resume from there.

    A resumed training equals an uninterrupted one to the last bit (on the same machine, with the
    same versions), including the dropout of Keras' layers. An epoch that was interrupted is
    repeated from its beginning. Keras' callback of this name saves neither the seed of the data nor
    the position in `forfit()`; and if the process is killed while it saves, the weights of one
    epoch may be left with the number of another.

    Create it before `fit` takes batches, and with the same data in the same order. Of several
    processes that train together the first one saves, in a directory that all of them can read.

    Args:
        backup_dir: directory only for the backup, created if needed; removed when training ends.
        data: the generator that `fit` gets, itself or its `forfit()`.
        save_freq: only "epoch": nothing is saved within an epoch. For more frequent backups use
            shorter epochs, `fit(data.forfit(), steps_per_epoch=...)`.
        delete_checkpoint: remove the backup when training ends.

    Raises:
        ValueError: another `save_freq`; data without length; a backup that cannot be read, or of
            other data; when `fit` begins, a backup of another model or optimizer.

    Example:
        >>> backup = BackupAndRestore("backup", generator)
        >>> model.fit(generator, epochs=10, callbacks=[backup])
    """

    def __init__(
        self,
        backup_dir: str | Path,
        data: DataGenerator,
        save_freq: str = "epoch",
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if save_freq != "epoch":
            raise ValueError(
                f"save_freq={save_freq!r} must be 'epoch', after each epoch. For more frequent "
                "backups use shorter epochs: fit(generator.forfit(), steps_per_epoch=...)."
            )
        self._check_data(data)
        self.directory = Path(backup_dir)
        self.data: Any = data  # of a kind that `_check_data` allows
        self.delete_checkpoint = delete_checkpoint
        self._state = self._read()
        self._seen = self._resume(self._state)  # batches before this `fit`
        self._reached, self._first = self._seen, None
        self._generators: dict[str, list[str]] = {}

    @property
    def epochs_done(self) -> int:
        """Number of whole epochs of the backup that was found; 0 if there is none."""
        return 0 if self._state is None else self._state["epoch"]

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._first = None
        if self._state is None:
            return
        if self.model.optimizer is not None and not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        self.model.load_weights(self.directory / self._state["weights"])
        states, saved = seed_states(self.model), self._state["dropout"]
        if len(states) == len(saved):
            for state, value in zip(states, saved, strict=True):
                state.assign(np.array(value, "int64").astype(state.dtype))
        self._generators = self._state.get("generators", {})
        start_at_epoch(self.model, self._state["epoch"])

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self._first is None:
            self._first, self._state = epoch, None
            start_at_epoch(self.model, 0)  # otherwise the next `fit` would begin there too

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        # Between two epochs, and before the first one, torch's data loaders draw numbers too, not
        # equally often in a resumed training. So each epoch starts from the state of the last end.
        if self._generators:
            restore_generators(self._generators)
            self._generators = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._generators = generator_states()
        weights = f"epoch-{epoch + 1:05d}.weights.h5"
        self._reached = self._seen + self.params["steps"] * (epoch + 1 - self._first)
        state = {
            "epoch": epoch + 1,
            "weights": weights,
            "dropout": [ops.convert_to_numpy(s).tolist() for s in seed_states(self.model)],
            "generators": self._generators,
            **self._position(self._reached),
            **self._data(),
        }
        if process_place()[0] == 0:
            self._write(state)

    def _write(self, state: dict[str, Any]) -> None:
        weights = state["weights"]
        save_weights(self.model, self.directory / weights)
        with atomic_file(self.directory / "backup.json") as new:
            new.write_text(json.dumps(state), encoding="utf-8")
        # From here on the new backup is valid.
        for path in self.directory.glob("epoch-*.weights.h5"):
            if path.name != weights:
                path.unlink()

    def on_train_end(self, logs: dict | None = None) -> None:
        self._seen = self._reached
        if self.delete_checkpoint and process_place()[0] == 0:
            paths = self.directory.glob("epoch-*.weights.h5")
            for path in (self.directory / "backup.json", *paths):
                path.unlink(missing_ok=True)
            if self.directory.is_dir() and not any(self.directory.iterdir()):
                self.directory.rmdir()

    # What depends on the kind of the data; another kind overrides these.

    def _check_data(self, data: Any) -> None:
        """Raise ValueError if the order of this data cannot be restored."""
        if not isinstance(data, DataGenerator) or data.steps is None:
            raise ValueError(
                f"data must be a DataGenerator whose data has a length, not {type(data).__name__}: "
                "the order of anything else cannot be restored."
            )

    def _resume(self, state: dict[str, Any] | None) -> int:
        """Set the data to the position of a backup, if any; return the number of batches so far."""
        order, steps = self.data.order, len(self.data)
        if state is not None:
            order.seed = state["seed"]
            order.epoch, order.skipped = divmod(state["batches"], steps)
        return order.epoch * steps + order.skipped

    def _position(self, batches: int) -> dict[str, Any]:
        """Return the position of the data after a number of batches."""
        return {"seed": self.data.seed, "batches": batches}

    def _data(self) -> dict[str, Any]:
        """Return the sizes by which the data of a backup is recognised."""
        return {"samples": len(self.data.data), "batch_size": self.data.batch_size}

    def _read(self) -> dict[str, Any] | None:
        """Read and check the backup; None if there is none."""
        path = self.directory / "backup.json"
        if not path.exists():
            return None
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            numbers = [state[k] for k in ("epoch", "seed", "batches", "batch_size")]
            ok = all(type(n) is int and n >= 0 for n in numbers)
            ok = ok and state["dropout"] is not None
            ok = ok and (self.directory / state["weights"]).is_file()
        except (ValueError, KeyError, TypeError, RecursionError):
            ok = False
        if not ok:
            raise ValueError(
                f"{path} is not a backup that can be resumed; remove the directory to start over."
            )
        for name, here in self._data().items():
            if state.get(name) != here:
                raise ValueError(
                    f"the backup in {self.directory} is of data with {name}={state.get(name)}, but "
                    f"this data has {here}, so training cannot be resumed. Remove the directory to "
                    "start over."
                )
        return state

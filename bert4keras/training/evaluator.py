"""Callback that evaluates with any function after each epoch and keeps the best weights."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from .._compat import process_place, without_distribution
from .._files import atomic_file

_NOTE = "bert4keras.evaluator"  # attribute of a weight file: result and epoch of the weights


class Evaluator(keras.callbacks.Callback):
    """Run `evaluate()` after each epoch, keep the best weights, and print one line.

    A training that begins with epoch 1 starts over: its first result is the best so far and
    replaces the file of an earlier training, with a message. There are two exceptions, in which the
    earlier best result counts:

    - `fit` is called again on the same model with the weights that the last `fit` left in it, such
      as for a second stage.
    - Training begins with a later epoch (`fit(initial_epoch=...)`, `BackupAndRestore`). In another
      process the earlier results are read from the files.

    Put the evaluator before `BackupAndRestore`; otherwise the result of an epoch is lost if the
    process is killed between the two.

    Args:
        evaluate: function without arguments that returns a number, or a dict of numbers.
        filepath: path of the best weights, `*.weights.h5`; their result is noted in the file. All
            results go to a JSON file of the same name, `*.weights.json`. Both are replaced
            atomically, by the first of several processes. None keeps the weights only in memory.
        monitor: key of the number that decides; None: the first.
        mode: `"max"` or `"min"`.
        restore_best: put the best weights back into the model when training ends.
        verbose: 0 prints nothing.

    Attributes:
        best: best value so far; `best_epoch` is its epoch, from 1.
        history: all results, a list of dicts.

    Raises:
        ValueError: an unknown `mode` or `monitor`, a result that is NaN, or a training that
            continues although `filepath` was not written by an evaluator.

    Example:
        >>> model.fit(data, callbacks=[Evaluator(lambda: f1(model, valid), "best.weights.h5")])
    """

    def __init__(
        self,
        evaluate: Callable[[], float | Mapping[str, float]],
        filepath: str | Path | None = None,
        monitor: str | None = None,
        mode: str = "max",
        restore_best: bool = True,
        verbose: int = 1,
    ):
        super().__init__()
        if mode not in ("max", "min"):
            raise ValueError(f"mode must be 'max' or 'min', not {mode!r}")
        if filepath is not None and not str(filepath).endswith(".weights.h5"):
            raise ValueError(f"filepath must end in '.weights.h5', not {str(filepath)!r}")
        self.evaluate = evaluate
        self.filepath = None if filepath is None else Path(filepath)
        self.monitor = monitor
        self.mode = mode
        self.restore_best = restore_best
        self.verbose = verbose
        self._forget()
        self._trained: keras.Model | None = None  # the model of the last `fit`
        self._known: set[int] = set()  # checksums of the weights that `fit` may have left in it
        self._begun = False

    def _forget(self) -> None:
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.history: list[dict[str, float]] = []
        self._epochs: list[int] = []  # of the history, from 1
        self._weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._begun = False

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if not self._begun:  # not before: `BackupAndRestore` sets the first epoch of `fit`
            self._begin(epoch)
        self._begun = True

    def _begin(self, epoch: int) -> None:
        same, self._trained = self._trained is self.model, self.model
        if not (same and (epoch or _checksum(self.model.get_weights()) in self._known)):
            self._forget()
            if self.filepath is not None and self.filepath.exists():
                self._read(epoch)
        while epoch and self._epochs and self._epochs[-1] > epoch:  # to be trained again
            self._epochs.pop()
            self.history.pop()

    def _read(self, epoch: int) -> None:
        """Read the results of an earlier process, if this training continues it."""
        note = _read_note(self.filepath)
        if not epoch:
            best = "" if note is None else f", {note['monitor']} {note['best']:.4f},"
            if self.verbose:
                print(f"\n{self.filepath} of an earlier training{best} will be replaced")
            return
        monitor = self.monitor or (note or {}).get("monitor")
        if note is None or (note["monitor"], note["mode"]) != (monitor, self.mode):
            raise ValueError(
                f"training continues after epoch {epoch}, but {self.filepath} does not say how "
                f"good its weights are ({self.mode} of {monitor or 'a result'}), and worse ones "
                "might replace them. Move the file away or use another filepath."
            )
        self.best, self.best_epoch = note["best"], note["epoch"]
        try:
            rows = json.loads(self._results_path().read_text(encoding="utf-8"))["results"]
            self._epochs = [int(row.pop("epoch")) for row in rows]
            self.history = [dict(row) for row in rows]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self._epochs, self.history = [], []  # the best result is known without them

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        results = self.evaluate()
        if not isinstance(results, Mapping):
            results = {self.monitor or "score": results}
        results = {key: float(value) for key, value in results.items()}
        monitor = self.monitor or next(iter(results))
        if monitor not in results:
            raise ValueError(
                f"evaluate() returned {sorted(results)}, but monitor is {monitor!r}: use one of "
                "these keys."
            )
        value = results[monitor]
        if math.isnan(value):
            raise ValueError(
                f"evaluate() returned nan for {monitor!r} after epoch {epoch + 1}, which cannot be "
                "compared."
            )
        self.history.append(results)
        self._epochs.append(epoch + 1)
        if logs is not None:
            logs.update({f"eval_{key}": number for key, number in results.items()})
        better = self.best is None or (
            value > self.best if self.mode == "max" else value < self.best
        )
        if better:
            self.best, self.best_epoch = value, epoch + 1
            self._keep(monitor)
        if self._writes():
            self._write_results()
        if self.verbose:
            numbers = "  ".join(f"{key} {number:.4f}" for key, number in results.items())
            mark = "best so far" if better else f"best {self.best:.4f} in epoch {self.best_epoch}"
            print(f"\nepoch {epoch + 1}: {numbers}  ({mark})", flush=True)

    def on_train_end(self, logs: dict | None = None) -> None:
        last = _checksum(self.model.get_weights())
        if self.restore_best and self._weights is not None:
            self.model.set_weights(self._weights)
        elif self.restore_best and self.best is not None and self.filepath is not None:
            self.model.load_weights(self.filepath)  # the best epoch was in another process
        self._known = {last, _checksum(self.model.get_weights())}

    def _keep(self, monitor: str) -> None:
        if self.restore_best:
            self._weights = self.model.get_weights()
        if self._writes():
            with without_distribution(), atomic_file(self.filepath) as new:
                self.model.save_weights(new)
                note = {"best": self.best, "epoch": self.best_epoch, "monitor": monitor}
                _write_note(new, {**note, "mode": self.mode})

    def _writes(self) -> bool:
        """Of several processes that train together, which all evaluate, the first one writes."""
        return self.filepath is not None and process_place()[0] == 0

    def _results_path(self) -> Path:
        return self.filepath.with_name(self.filepath.name.removesuffix(".h5") + ".json")

    def _write_results(self) -> None:
        rows = zip(self._epochs, self.history, strict=True)
        values = {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "results": [{"epoch": epoch, **results} for epoch, results in rows],
        }
        with atomic_file(self._results_path()) as new:
            new.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _checksum(weights: list[np.ndarray]) -> int:
    """Return a checksum of all weights."""
    found = 0
    for array in weights:
        found = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8), found)
    return found


def _write_note(path: Path, note: Mapping[str, Any]) -> None:
    """Write the result of the weights into their own file, which replaces both together."""
    import h5py

    with h5py.File(path, "r+") as file:
        file.attrs[_NOTE] = json.dumps(note)


def _read_note(path: Path) -> dict[str, Any] | None:
    """Read the note of `_write_note`; None if the file has none."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            note = json.loads(file.attrs[_NOTE])
        return {
            "best": float(note["best"]),
            "epoch": int(note["epoch"]),
            "monitor": str(note["monitor"]),
            "mode": str(note["mode"]),
        }
    except (OSError, KeyError, ValueError, TypeError):
        return None

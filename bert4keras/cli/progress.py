"""Progress of a training on standard error, and its results epoch by epoch in a file."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
from tqdm import tqdm

from .._files import atomic_file
from .common import note


class TrainingLog(keras.callbacks.Callback):
    """Show a bar and a line for each epoch, and keep the numbers of all epochs.

    Put it after the `Evaluator`, whose scores it shows, and before `BackupAndRestore`: rows of
    epochs that are trained again are dropped.

    Args:
        path: JSON file of the rows, from which an earlier process is continued.
        steps: steps of an epoch, for lines that count steps.

    Attributes:
        rows: for each epoch its number, loss, scores and seconds.
    """

    def __init__(self, path: Path, steps: int | None = None):
        super().__init__()
        self.path, self.steps = path, steps
        self.rows: list[dict[str, Any]] = []
        if path.is_file():
            self.rows = json.loads(path.read_text(encoding="utf-8"))
        self._bar: Any = None
        self._begun = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.rows = [row for row in self.rows if row["epoch"] <= epoch]
        self._begun = time.perf_counter()
        name = self._name(epoch)
        steps = self.params.get("steps")
        self._bar = tqdm(
            total=steps, desc=name, unit="batch", leave=False, disable=None, file=sys.stderr
        )

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self._bar.disable:  # asking for the loss would wait for the device
            return
        self._bar.set_postfix({"loss": f"{float((logs or {}).get('loss', 0)):.4f}"}, refresh=False)
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._bar.close()
        seconds = time.perf_counter() - self._begun
        numbers = {name.removeprefix("eval_"): float(value) for name, value in (logs or {}).items()}
        row = {"epoch": epoch + 1, **numbers, "seconds": round(seconds, 2)}
        self.rows.append(row)
        with atomic_file(self.path) as new:
            new.write_text(json.dumps(self.rows) + "\n", encoding="utf-8")
        shown = "  ".join(f"{name} {number:.4f}" for name, number in list(numbers.items())[:5])
        note(f"{self._name(epoch)}  {shown}  ({seconds:.1f} s)")

    def _name(self, epoch: int) -> str:
        """Return how an epoch is called, with the number of all."""
        count = self.steps or 1
        unit = "step" if self.steps else "epoch"
        return f"{unit} {(epoch + 1) * count}/{self.params['epochs'] * count}"

    def curves(self) -> dict[str, list[float]]:
        """Return the loss and the first score of all epochs, for `display.plot_history`."""
        if not self.rows:
            return {}
        names = [name for name in self.rows[0] if name not in ("epoch", "seconds")][:2]
        return {name: [row[name] for row in self.rows if name in row] for name in names}

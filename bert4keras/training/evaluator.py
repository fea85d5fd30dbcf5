"""Evaluate with any function when an epoch ends, and keep the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras


class Evaluator(keras.callbacks.Callback):
    """Runs `evaluate()` at the end of each epoch, keeps the best weights, prints one line.

    Args:
        evaluate: function without arguments that returns a number, or numbers by name.
        filepath: where the best weights go, `*.weights.h5`; None keeps them in memory only.
        monitor: name of the number that decides; None takes the first.
        mode: `"max"` or `"min"`.
        restore_best: put the best weights back into the model when training ends.
        verbose: 0 prints nothing.

    Attributes:
        best: best value so far; `best_epoch` its epoch, from 1.
        history: all results, a list of dicts.

    Raises:
        ValueError: a `mode` or `monitor` that does not exist, or a result that is no number.

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
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.history: list[dict[str, float]] = []
        self._weights: list[Any] | None = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        results = self.evaluate()
        if not isinstance(results, Mapping):
            results = {self.monitor or "score": results}
        results = {key: float(value) for key, value in results.items()}
        monitor = self.monitor or next(iter(results))
        if monitor not in results:
            raise ValueError(f"evaluate() gave {sorted(results)}, but monitor is {monitor!r}")
        value = results[monitor]
        if math.isnan(value):
            raise ValueError(f"evaluate() gave nan for {monitor!r} after epoch {epoch + 1}")
        self.history.append(results)
        if logs is not None:
            logs.update({f"eval_{key}": number for key, number in results.items()})
        better = self.best is None or (
            value > self.best if self.mode == "max" else value < self.best
        )
        if better:
            self.best, self.best_epoch = value, epoch + 1
            self._keep()
        if self.verbose:
            numbers = "  ".join(f"{key} {number:.4f}" for key, number in results.items())
            mark = "best so far" if better else f"best {self.best:.4f} in epoch {self.best_epoch}"
            print(f"\nepoch {epoch + 1}: {numbers}  ({mark})", flush=True)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.restore_best and self._weights is not None:
            self.model.set_weights(self._weights)

    def _keep(self) -> None:
        if self.restore_best:
            self._weights = self.model.get_weights()
        if self.filepath is not None:
            # Written beside and moved over, so that an interruption leaves the old file whole.
            self.filepath.parent.mkdir(parents=True, exist_ok=True)
            beside = self.filepath.with_name(f".{self.filepath.name}.new.weights.h5")
            try:
                self.model.save_weights(beside)
                beside.replace(self.filepath)
            finally:
                beside.unlink(missing_ok=True)

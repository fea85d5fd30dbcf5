"""Evaluate and save with the averages of `EMA` in place of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import ops

from .extended import ExtendedOptimizer


@contextlib.contextmanager
def ema_weights(model: keras.Model) -> Iterator[keras.Model]:
    """Within the `with` block the model has its averaged weights; then it has its own again.

    A file saved inside holds the averages (and, if the optimizer goes along, its state as it is).

    Args:
        model: compiled with an `ExtendedOptimizer` that has `EMA`.

    Raises:
        ValueError: another optimizer, no `EMA`, no update yet, or one block within another.

    Example:
        >>> with ema_weights(model):
        ...     save_model(model, "averaged.keras")
    """
    weights = swap_in(model)
    try:
        yield model
    finally:
        swap_out(model, weights)


def apply_ema_weights(model: keras.Model) -> None:
    """Put the averages in place of the weights for good, at the end of training.

    Args:
        model: compiled with an `ExtendedOptimizer` that has `EMA`.

    Raises:
        ValueError: as of `ema_weights`.
    """
    swap_in(model)
    find_extended(model)._state.swapped = False


class WithEMA(keras.callbacks.Callback):
    """Validation, and what given callbacks do when an epoch ends, with the averaged weights.

    Args:
        callbacks: such as `Evaluator` and `ModelCheckpoint`; `fit` gets only this callback, not
            these. They see the averages in `on_epoch_end`, and so evaluate and save them.

    Raises:
        ValueError: as of `ema_weights`.

    Example:
        >>> model.fit(data, callbacks=[WithEMA([Evaluator(lambda: accuracy(model, valid))])])
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback] = ()):
        super().__init__()
        self.callbacks = list(callbacks)
        self._weights: Any = None

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def on_train_begin(self, logs: dict | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_train_end(self, logs: dict | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        with ema_weights(self.model):
            for callback in self.callbacks:
                callback.on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._weights = swap_in(self.model)
        for callback in self.callbacks:
            callback.on_test_begin(logs)

    def on_test_end(self, logs: dict | None = None) -> None:
        for callback in self.callbacks:
            callback.on_test_end(logs)
        swap_out(self.model, self._weights)


def find_extended(model: keras.Model) -> ExtendedOptimizer:
    """The `ExtendedOptimizer` that trains a model, within a `LossScaleOptimizer` or not."""
    optimizer = getattr(model, "optimizer", None)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    if not isinstance(optimizer, ExtendedOptimizer):
        raise ValueError(
            f"{model.name!r} is compiled with {type(optimizer).__name__}, which has no averages: "
            "compile it with ExtendedOptimizer(optimizer, [EMA()])"
        )
    return optimizer


def swap_in(model: keras.Model) -> dict[int, Any]:
    """Put the averages into the model; returns its own weights."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()  # between two batches of `fit` the values are not in the variables
    optimizer = find_extended(model)
    averages = optimizer.average_values()
    if optimizer._state.swapped:
        raise ValueError("the averages are in the model already")
    variables = optimizer.model_variables
    weights = {index: ops.convert_to_numpy(variables[index]).copy() for index in averages}
    for index, average in averages.items():
        variables[index].assign(average)
    optimizer._state.swapped = True
    return weights


def swap_out(model: keras.Model, weights: dict[int, Any]) -> None:
    optimizer = find_extended(model)
    for index, weight in weights.items():
        optimizer.model_variables[index].assign(weight)
    optimizer._state.swapped = False

"""Evaluation and saving with the averages of `EMA` in place of the weights.

The averages live in the optimizer. To use them, they are assigned to the variables of the model,
while the weights are kept in numpy arrays and assigned back afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .extended import ExtendedOptimizer


@contextlib.contextmanager
def ema_weights(model: keras.Model) -> Iterator[keras.Model]:
    """Give the model its averaged weights within a `with` block, and its own ones afterwards.

    A file saved inside the block has the averages (and the state of the optimizer as it is, if the
    optimizer is saved too).

    Args:
        model: compiled with an `ExtendedOptimizer` that has `EMA`.

    Raises:
        ValueError: another optimizer, no `EMA`, no update yet, or a block within a block.

    Example:
        >>> with ema_weights(model):
        ...     save_model(model, "averaged.keras")
    """
    weights = _swap_in(model)
    try:
        yield model
    finally:
        _swap_out(model, weights)


def apply_ema_weights(model: keras.Model) -> None:
    """Replace the weights by their averages permanently, at the end of training.

    Args:
        model: compiled with an `ExtendedOptimizer` that has `EMA`.

    Raises:
        ValueError: the same as `ema_weights`.
    """
    _swap_in(model)
    _find_extended(model)._state.swapped = False


class WithEMA(keras.callbacks.Callback):
    """Callback that validates with the averaged weights and wraps other callbacks.

    Args:
        callbacks: such as `Evaluator` and `ModelCheckpoint`, which evaluate and save the averages
            in `on_epoch_end`. Do not give them to `fit` as well.

    Raises:
        ValueError: the same as `ema_weights`.

    Example:
        >>> model.fit(data, callbacks=[WithEMA([Evaluator(lambda: accuracy(model, valid))])])
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback] = ()):
        super().__init__()
        self.callbacks = list(callbacks)
        self._weights: dict[int, np.ndarray] = {}

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
        self._weights = _swap_in(self.model)
        for callback in self.callbacks:
            callback.on_test_begin(logs)

    def on_test_end(self, logs: dict | None = None) -> None:
        for callback in self.callbacks:
            callback.on_test_end(logs)
        _swap_out(self.model, self._weights)


def _find_extended(model: keras.Model) -> ExtendedOptimizer:
    """Return the `ExtendedOptimizer` of a model, also from within a `LossScaleOptimizer`."""
    optimizer = getattr(model, "optimizer", None)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    if not isinstance(optimizer, ExtendedOptimizer):
        raise ValueError(
            f"{model.name!r} is compiled with {type(optimizer).__name__}, which has no averages: "
            "compile it with ExtendedOptimizer(optimizer, [EMA()])"
        )
    return optimizer


def _swap_in(model: keras.Model) -> dict[int, np.ndarray]:
    """Assign the averages to the model; return its own weights by index of the variable."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()  # within `fit` the variables do not have the current values
    return swap_in(_find_extended(model))


def _swap_out(model: keras.Model, weights: dict[int, np.ndarray]) -> None:
    """Assign the model's own weights again."""
    swap_out(_find_extended(model), weights)


def swap_in(optimizer: ExtendedOptimizer, bias_correction: bool = True) -> dict[int, np.ndarray]:
    """Assign the averages to the variables of an optimizer.

    Args:
        optimizer: with `EMA`; the variables must have their current values.
        bias_correction: False: averages as they are stored, without the correction of `EMA`.

    Returns:
        The weights before, by index of the variable, for `swap_out`.

    Raises:
        ValueError: there is no `EMA`, no update yet, or the averages are there already.
    """
    averages = optimizer.average_values(bias_correction)
    if optimizer._state.swapped:
        raise ValueError(
            "the averages are in the model already: leave the other `ema_weights` block first"
        )
    variables = optimizer.model_variables
    weights = {index: ops.convert_to_numpy(variables[index]).copy() for index in averages}
    for index, average in averages.items():
        variables[index].assign(average)
    optimizer._state.swapped = True
    return weights


def swap_out(optimizer: ExtendedOptimizer, weights: dict[int, np.ndarray]) -> None:
    """Assign the weights that `swap_in` returned."""
    for index, weight in weights.items():
        optimizer.model_variables[index].assign(weight)
    optimizer._state.swapped = False

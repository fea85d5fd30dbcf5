"""The loops of `fit`, `evaluate` and `predict`, as data sets and callbacks have to see them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras


class TrainerCall(NamedTuple):
    """A running `fit`, `evaluate` or `predict`.

    Attributes:
        model: the model it was called on.
        name: name of the method.
        arguments: its local variables: its arguments, and `epoch` once its loop has begun.
    """

    model: keras.Model
    name: str
    arguments: Mapping[str, Any]

    @property
    def epoch(self) -> int | None:
        """Current epoch of `fit`, from 0; None before the first one, and in other methods."""
        return self.arguments.get("epoch") if self.name == "fit" else None


def trainer_call() -> TrainerCall | None:
    """Return the call of Keras for which data is being made, in this thread or the main one.

    Keras tells data sets neither the model nor the epoch, and a resumed `fit` does not begin at
    epoch 0, so the call is looked for on the stack. Data that a callback makes for itself in the
    middle of a `fit` belongs to no call.
    """
    main, here = threading.main_thread().ident, threading.get_ident()
    frames = [sys._getframe(1)] + ([sys._current_frames().get(main)] if here != main else [])
    for own, frame in zip((True, False), frames, strict=False):
        while frame is not None:
            name = frame.f_code.co_name
            if name in ("fit", "evaluate", "predict") or (own and name.startswith("on_")):
                variables = frame.f_locals
                owner = variables.get("self")
                if isinstance(owner, keras.Model) and "callbacks" in variables:
                    return TrainerCall(owner, name, variables)
                if isinstance(owner, keras.callbacks.Callback):
                    return None
            frame = frame.f_back
    return None


def model_in_fit() -> keras.Model | None:
    """Return the model whose `fit` this thread runs, also from within its callbacks; else None."""
    frame = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self") if frame.f_code.co_name == "fit" else None
        if isinstance(owner, keras.Model) and "callbacks" in frame.f_locals:
            return owner
        frame = frame.f_back
    return None


def call_is_training() -> bool:
    """Return whether the layer that is being called is trained; only its `call` can be told."""
    from keras.src.backend.common import global_state

    context = global_state.get_global_attribute("current_call_ctx")
    return context is not None and bool(context.get_value("training"))


def disable_shuffle(dataset: keras.utils.PyDataset) -> None:
    """Stop Keras from shuffling the batches of a data set, since its shuffle follows no seed.

    Must be called by a method that the adapter of the data set calls before the first epoch, such
    as `on_epoch_end`: the adapter, which has the switch, can only be found on the stack.
    """
    from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

    frame = sys._getframe(1)
    for _ in range(6):  # between the adapter and this function
        adapter = frame.f_locals.get("self") if frame is not None else None
        if isinstance(adapter, PyDatasetAdapter) and adapter.py_dataset is dataset:
            adapter.shuffle = False
            if adapter.enqueuer is not None:
                adapter.enqueuer.shuffle = False
        frame = frame and frame.f_back


def compiled_losses_and_metrics(model: keras.Model) -> tuple[Any, list[Any]]:
    """Return the loss given to `compile`, in its structure, and the metrics, in one or two lists.

    `model.loss` is public; the metrics can only be read from private attributes.
    """
    metrics = getattr(model, "_compile_metrics", None)
    given = [] if metrics is None else [metrics._user_metrics, metrics._user_weighted_metrics]
    return getattr(model, "loss", None), [metric for metric in given if metric is not None]


def wrapped_function(loss_or_metric: Any) -> Any:
    """Return the function that a loss or metric of Keras wraps, or the object itself.

    `LossFunctionWrapper` has it as `fn`, `MeanMetricWrapper` as `_fn`.
    """
    function = getattr(loss_or_metric, "fn", None) or getattr(loss_or_metric, "_fn", None)
    return function or loss_or_metric


def start_at_epoch(model: keras.Model, epoch: int) -> None:
    """Make the `fit` that begins now start at an epoch, as Keras' `BackupAndRestore` does.

    The argument `initial_epoch` of `fit` is fixed before a callback can read its backup.
    """
    model._initial_epoch = epoch

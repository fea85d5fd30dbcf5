"""The loops of `fit`, `evaluate` and `predict`, as data sets and callbacks have to see them."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, NamedTuple

import keras


class TrainerCall(NamedTuple):
    """A running `fit`, `evaluate` or `predict`.

    Attributes:
        model: the model it was called on.
        name: name of the method.
        arguments: those of its arguments that concern data: initial_epoch, epochs, steps_per_epoch
            and class_weight.
        epoch: current epoch of `fit`, from 0; None before the first one, and in other methods.
    """

    model: keras.Model
    name: str
    arguments: Mapping[str, Any]
    epoch: int | None


_DATA_ARGUMENTS = ("initial_epoch", "epochs", "steps_per_epoch", "class_weight")


class TrainerCalls:
    """Finder of the call of Keras for which a data set makes its batches.

    Keras tells data sets neither the model nor the epoch, and a resumed `fit` does not begin at
    epoch 0, so the call is looked for on the stack of the thread that asks. On TensorFlow other
    threads ask too, after the one that called `fit` or `predict` has taken the first batch: they
    get the call that was found then. They must not look at the stack of its thread. When `fit`
    ends, the frame that they find there may be half destroyed, and the interpreter crashes.
    """

    def __init__(self) -> None:
        self._seen: _Remembered | None = None

    def current(self) -> TrainerCall | None:
        """Return the call; None outside of one, and for data that a callback makes for itself."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_name
            if name in ("fit", "evaluate", "predict") or name.startswith("on_"):
                variables = frame.f_locals
                owner = variables.get("self")
                if isinstance(owner, keras.Model) and "callbacks" in variables:
                    given = {key: variables[key] for key in _DATA_ARGUMENTS if key in variables}
                    epoch = variables.get("epoch") if name == "fit" else None
                    call = TrainerCall(owner, name, given, epoch)
                    self._seen = _Remembered.of(call)
                    return call
                if isinstance(owner, keras.callbacks.Callback):
                    return None
            frame = frame.f_back
        if self._seen is None or threading.current_thread() is threading.main_thread():
            return None
        return self._seen.call_of_worker()

    def __reduce__(self) -> tuple[type[TrainerCalls], tuple[()]]:
        return type(self), ()  # a copy in another process works for no call of this one


class _Remembered(NamedTuple):
    """A call without references that would keep its model alive."""

    model: weakref.ref
    history: Callable[[], keras.callbacks.History | None]  # that of the `fit` before
    name: str
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, call: TrainerCall) -> _Remembered:
        history = getattr(call.model, "history", None)
        if call.epoch is not None or history is None:  # it has begun: any history is its own
            return cls(weakref.ref(call.model), lambda: None, call.name, call.arguments)
        return cls(weakref.ref(call.model), weakref.ref(history), call.name, call.arguments)

    def call_of_worker(self) -> TrainerCall | None:
        """Return the call; its epoch is read from the `History` that a `fit` makes as it begins."""
        model = self.model()
        if model is None:
            return None
        history, arguments, epoch = getattr(model, "history", None), self.arguments, None
        if self.name == "fit" and history is not None and history is not self.history():
            begun_at = model._initial_epoch or arguments["initial_epoch"]
            epoch = history.epoch[-1] + 1 if history.epoch else begun_at
            arguments = {**arguments, "initial_epoch": begun_at}
        return TrainerCall(model, self.name, arguments, epoch)


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

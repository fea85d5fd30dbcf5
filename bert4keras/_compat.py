"""Where backends or versions of Keras differ and our code has to know."""

from __future__ import annotations

import functools
import string
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras


@functools.cache
def fused_attention_takes(dtype: str) -> bool:
    """Whether `keras.ops.dot_product_attention` runs in this dtype.

    JAX asks the CPU for a float16 product summed in float32, which its compiler refuses there.
    """
    if dtype != "float16" or keras.backend.backend() != "jax":
        return True
    return not all(device.startswith("cpu") for device in keras.distribution.list_devices())


def check_when_run(
    values: Any, bad: Callable[[Any], Any], check: Callable[[Any], Any], message: str, limit: int
) -> Any:
    """The values, with a check that a compiled function makes when it runs.

    JAX would answer with NaN; TensorFlow raises, but does not name the input. A function that JAX
    traces for export (its lengths are symbols) cannot carry the check, and one that TensorFlow
    compiles by XLA leaves it out. torch, which compiles nothing, raises as the device does.

    Args:
        values: int tensor.
        bad: which values are wrong, a bool tensor of the same shape.
        check: raises for values of which some are wrong.
        message: with {id}, {place} and {limit} to fill in.
        limit: what {limit} stands for.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        if isinstance(values, jax.core.Tracer) and all(isinstance(n, int) for n in values.shape):
            wrong = bad(values).any()
            jax.lax.cond(wrong, lambda: jax.debug.callback(check, values), lambda: None)
    elif backend == "tensorflow":
        import tensorflow as tf

        if tf.is_tensor(values):
            return _asserted(tf, values, bad(values), message, limit)
    return values


def _asserted(tf: Any, values: Any, wrong: Any, message: str, limit: int) -> Any:
    """The values of a TensorFlow graph, behind an assertion that none is wrong."""
    index = tf.argmax(tf.cast(tf.reshape(wrong, [-1]), "int32"), output_type="int32")
    # Behind a zero, lest an empty batch has no value to look at.
    found = tf.concat([tf.reshape(values, [-1]), tf.zeros([1], values.dtype)], 0)[index]
    place, rest = [], index
    for size in reversed(tf.unstack(tf.shape(values))):
        place.insert(0, rest % tf.maximum(size, 1))
        rest = rest // tf.maximum(size, 1)
    parts = {"id": found, "place": tf.stack(place), "limit": tf.constant(limit)}
    words = []
    for text, name, _, _ in string.Formatter().parse(message):
        words += [tf.constant(text), *([] if name is None else [parts[name]])]
    check = tf.debugging.Assert(tf.logical_not(tf.reduce_any(wrong)), words)
    if check is None:
        return values
    with tf.control_dependencies([check]):
        return tf.identity(values)


def assign_where(predicate: Any, assign: Callable[[], None], variables: Sequence[Any]) -> None:
    """Run `assign()` in the branch where a scalar holds; else all variables stay as they are.

    TensorFlow and torch can assign in a branch. The branches of compiled JAX are pure functions, so
    there the values of all `variables` that `assign` reads or writes go in and come out.
    """
    if keras.backend.backend() != "jax":
        keras.ops.cond(predicate, assign, lambda: None)
        return
    import jax

    if not isinstance(predicate, jax.core.Tracer):  # JAX would compile the branches at each call
        if predicate:
            assign()
        return

    def branch() -> list[Any]:
        with keras.StatelessScope(state_mapping=list(zip(variables, before, strict=True))) as scope:
            assign()
        return [scope.get_current_value(variable) for variable in variables]

    before = [variable.value for variable in variables]
    after = keras.ops.cond(predicate, branch, lambda: before)
    for variable, value in zip(variables, after, strict=True):
        variable.assign(value)


def move_towards(variable: Any, target: Any, part: float) -> None:
    """variable = variable + part (target - variable); a part of 1 gives the target exactly.

    Torch, which compiles no update, does it in one pass over memory, without new tensors.
    """
    from keras.src.backend.common.stateless_scope import in_stateless_scope

    if keras.backend.backend() == "torch" and not in_stateless_scope():
        import torch

        with torch.no_grad():
            variable.value.lerp_(target.to(variable.value.dtype), part)
    elif part == 1:
        variable.assign(target)
    else:
        variable.assign_add(part * (target - variable))


def full_precision() -> Any:
    """A context within which variables are read as they are, whatever a mixed policy says.

    Inside a model's `call` Keras hands out half-precision copies; layers that want them open their
    own context.
    """
    from keras.src.backend import AutocastScope

    return AutocastScope(None)


def note_loaded(value: Any, identity: int | None) -> None:
    """Have an object found by a number until the file that is being loaded has been read."""
    from keras.src.saving import serialization_lib

    serialization_lib.record_object_after_deserialization(value, identity)


def object_loaded_as(identity: int) -> Any:
    """The object of this number in the file that is being loaded, or None."""
    from keras.src.saving import serialization_lib

    return serialization_lib.get_shared_object(identity)


def inner_layers(layer: Any) -> list[Any]:
    """All layers inside a layer, in the order in which it made them."""
    return list(layer._flatten_layers(include_self=False))


def is_functional(model: Any) -> bool:
    """Whether a model has a graph of layers to run."""
    from keras.src.models import Functional

    return isinstance(model, Functional)


def calls(model: Any) -> list[tuple[Any, Any, Any]]:
    """The calls of a functional model in the order they run: layer, first argument, output."""
    nodes = [
        node for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True) for node in nodes
    ]
    return [
        (node.operation, node.input_tensors[0], node.outputs[0])
        for node in nodes
        if not node.is_input
    ]


def run_graph(
    model: Any, inputs: Any, call: Callable[[Any, Callable[[], Any], Any], Any], training: bool
) -> Any:
    """The outputs of a functional model some of whose calls give something else.

    Args:
        model: the model.
        inputs: its inputs, in its structure.
        call: gets a layer, a function that runs it, and the first argument, in the order of
            `calls`; returns what the model goes on with.
        training: as of `keras.Model.__call__`.
    """
    from keras.src.models.functional import operation_fn

    def operation(layer: Any) -> Callable[..., Any]:
        run = operation_fn(layer, training=training)
        return lambda *args, **kwargs: call(
            layer, lambda: run(*args, **kwargs), keras.tree.flatten((args, kwargs))[0]
        )

    outputs = model._run_through_graph(model._standardize_inputs(inputs), operation)
    single = isinstance(outputs, (list, tuple)) and len(outputs) == 1
    return outputs[0] if single else outputs


def flat_inputs(model: Any, inputs: Any) -> list[Any]:
    """The inputs of a functional model as tensors, in the order of `model.inputs`."""
    return model._standardize_inputs(inputs)


def keras_mask(tensor: Any) -> Any | None:
    """The mask that Keras' layers put on a tensor, bool (B, T); None: it has none."""
    from keras.src.backend import get_keras_mask

    return get_keras_mask(tensor)


def with_mask_of(source: Any, tensors: Any) -> Any:
    """`tensors`, in a structure, with the masks of `source`, what they stand in for."""
    from keras.src.backend import get_keras_mask, set_keras_mask

    def carry(old: Any, new: Any) -> Any:
        if new is not old and old is not None and get_keras_mask(old) is not None:
            set_keras_mask(new, get_keras_mask(old))
        return new

    return keras.tree.map_structure(carry, source, tensors)


def with_implicit_mask(layer: Any, ids: Any, vectors: Any) -> Any:
    """Vectors with the mask that an embedding layer with `mask_zero` puts on what it looked up."""
    from keras.src.backend import set_keras_mask

    mask = layer.compute_mask(ids, None) if layer.supports_masking else None
    if mask is not None:
        set_keras_mask(vectors, mask)
    return vectors


class DrawnSeed(keras.random.SeedGenerator):
    """A generator that always gives one seed, drawn earlier from another.

    A function computed twice (`keras.remat`) must draw the same numbers both times; `keras.random`
    takes no seed that is a tensor, only generators.
    """

    def __init__(self, seed: Any):
        self.seed = seed
        self._initial_seed = 0  # torch's dropout asks whether there is one

    def next(self, ordered: bool = True) -> Any:
        return self.seed


def set_keras_mask(x: Any, mask: Any) -> None:
    """Have an array carry a Keras mask: Keras leaves masked losses out of their mean."""
    from keras.src.backend import set_keras_mask

    set_keras_mask(x, mask)


def raise_when_run(bad: Any, message: str) -> None:
    """Raise a ValueError if a boolean scalar holds, in compiled functions too.

    TensorFlow raises its own error with the message; XLA on TensorFlow cannot raise. Where Keras
    asks for shapes only, and makes values up, nothing is raised.
    """
    from keras.src.backend.common.symbolic_scope import in_symbolic_scope

    if in_symbolic_scope():
        return
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.debugging.Assert(tf.logical_not(bad), [message])
    elif backend == "jax":
        import jax

        if isinstance(bad, jax.core.Tracer):
            check = functools.partial(_raise_if, True, message)
            jax.lax.cond(bad, lambda: jax.debug.callback(check), lambda: None)
        else:
            _raise_if(bad, message)
    else:
        _raise_if(bad, message)


def _raise_if(bad: Any, message: str) -> None:
    if bool(bad):
        raise ValueError(message)


class TrainerCall(NamedTuple):
    """A running `fit`, `evaluate` or `predict` of Keras.

    Attributes:
        model: whose.
        name: of the method.
        arguments: its local variables: what it was given, and `epoch` once its loop has begun.
    """

    model: keras.Model
    name: str
    arguments: Mapping[str, Any]

    @property
    def epoch(self) -> int | None:
        """The epoch that `fit` is in, counted from 0; None before the first and elsewhere."""
        return self.arguments.get("epoch") if self.name == "fit" else None


def trainer_call() -> TrainerCall | None:
    """The call of Keras for which data is made now, by this thread or by one that it started.

    Keras tells data sets neither the model nor the epoch, which a resumed `fit` does not begin at
    0. What a callback does for itself in the middle of a `fit` belongs to no call.
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


def keep_order(dataset: Any) -> None:
    """Tell Keras not to shuffle the batches of a data set: its shuffle follows no seed.

    To be called by what the adapter calls, such as `on_epoch_end`, before the first epoch.
    """
    from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

    frame = sys._getframe(1)
    for _ in range(6):  # the adapter called the data set, which called what called this
        adapter = frame.f_locals.get("self") if frame is not None else None
        if isinstance(adapter, PyDatasetAdapter) and adapter.py_dataset is dataset:
            adapter.shuffle = False
            if adapter.enqueuer is not None:
                adapter.enqueuer.shuffle = False
        frame = frame and frame.f_back


def compiled_with(model: Any) -> tuple[Any, list[Any]]:
    """The losses of a model, in the structure given to `compile`, and the lists of its metrics."""
    metrics = getattr(model, "_compile_metrics", None)
    given = [] if metrics is None else [metrics._user_metrics, metrics._user_weighted_metrics]
    return getattr(model, "loss", None), [metric for metric in given if metric is not None]


def padding_ids(model: Any) -> list[int | None]:
    """The token id that counts as padding in each input of a functional model; None: none known."""
    if not is_functional(model):
        return []
    found: list[int | None] = [None] * len(model.inputs)
    places = {id(tensor): place for place, tensor in enumerate(model.inputs)}
    nodes = [node for nodes in model._nodes_by_depth.values() for node in nodes]
    for node in nodes:
        layer, tensors = node.operation, node.input_tensors
        if is_functional(layer):
            pads = padding_ids(layer)
            pads = pads if len(pads) == len(tensors) else []
        else:  # of several inputs of a layer, ids come before segments
            pads = [getattr(layer, "pad_token_id", None)] * len(tensors)
            known = [n for n, tensor in enumerate(tensors) if id(tensor) in places]
            named = [n for n in known if "Token" in tensors[n].name] or known
            pads = [pad if named[:1] == [n] else None for n, pad in enumerate(pads)]
        for tensor, pad in zip(tensors, pads, strict=False):
            if pad is not None and pad >= 0 and id(tensor) in places:
                found[places[id(tensor)]] = pad
    return found


def resume_at(model: Any, epoch: int) -> None:
    """Have the `fit` that begins now start at an epoch, as `BackupAndRestore` of Keras does."""
    model._initial_epoch = epoch


def seed_states(model: Any) -> list[Any]:
    """The states of the random generators of a model's layers, such as dropout."""
    return [
        v for v in model.variables if isinstance(v, keras.Variable) and "seed_generator" in v.path
    ]

"""Where backends or versions of Keras differ and our code has to know."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras


@functools.cache
def fused_attention_takes(dtype: str) -> bool:
    """Whether `keras.ops.dot_product_attention` runs in this dtype.

    JAX asks the CPU for a float16 product summed in float32, which its compiler refuses there.
    """
    if dtype != "float16" or keras.backend.backend() != "jax":
        return True
    return not all(device.startswith("cpu") for device in keras.distribution.list_devices())


def check_when_run(values: Any, bad: Callable[[Any], Any], check: Callable[[Any], None]) -> None:
    """Have a compiled JAX function call `check(values)`, which raises, if `bad(values)` holds.

    The other backends raise by themselves what JAX answers with NaN. A function traced for export
    (its lengths are symbols) cannot carry the check.
    """
    if keras.backend.backend() != "jax":
        return
    import jax

    if isinstance(values, jax.core.Tracer) and all(isinstance(n, int) for n in values.shape):
        jax.lax.cond(bad(values), lambda: jax.debug.callback(check, values), lambda: None)


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

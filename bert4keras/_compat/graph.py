"""The graph of a functional model: its layers, their calls, and a run with some replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from .._types import Tensor


class _LayerCall(NamedTuple):
    """One call of a layer in a functional model.

    Attributes:
        layer: the layer, or an operation of `keras.ops`.
        first_input: its first tensor argument, symbolic.
        output: its first output, symbolic.
        arguments: all its arguments, (positional, named), symbolic where they are tensors.
    """

    layer: Any
    first_input: keras.KerasTensor
    output: keras.KerasTensor
    arguments: tuple[tuple[Any, ...], dict[str, Any]]


def inner_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return all layers inside a layer or model at any depth, in the order of their creation.

    The public `model.layers` has only the outermost ones, and a layer has nothing like it.
    """
    return list(layer._flatten_layers(include_self=False))


def is_functional(model: object) -> bool:
    """Return whether a model is a graph of layers; the class has no public name."""
    from keras.src.models import Functional

    return isinstance(model, Functional)


def layer_calls(model: keras.Model) -> list[_LayerCall]:
    """Return the calls of a functional model in the order they run.

    The nodes of the graph are reachable only through the private `_nodes_by_depth`.
    """
    nodes = [
        node for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True) for node in nodes
    ]
    return [
        _LayerCall(
            node.operation,
            node.input_tensors[0],
            node.outputs[0],
            (node.arguments.args, node.arguments.kwargs),
        )
        for node in nodes
        if not node.is_input
    ]


def run_graph(
    model: keras.Model,
    inputs: Any,
    call: Callable[[Any, Callable[[], Any], Tensor], Any],
    training: bool,
) -> Any:
    """Run a functional model, with a function that may replace the output of each layer.

    Keras runs the graph with another function per layer for `clone_model`; the private method
    `_run_through_graph` does the same with tensors.

    Args:
        model: the functional model.
        inputs: its inputs, in its structure.
        call: called as `call(layer, run, first_argument)`, in the order of `layer_calls`, where
            `run()` is the layer's own output. Its result takes the place of that output.
        training: of `keras.Model.__call__`.

    Returns:
        The outputs of the model.
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


def flat_inputs(model: keras.Model, inputs: Any) -> list[Tensor]:
    """Return the inputs of a functional model as tensors, in the order of `model.inputs`.

    `_standardize_inputs` is what `call` does with lists, tuples and dicts of inputs.
    """
    return model._standardize_inputs(inputs)


def padding_ids(model: keras.Model) -> list[int | None]:
    """Return the padding id of each input of a functional model; None where it is not known.

    The id is the attribute `pad_token_id` of the layer that reads the input.
    """
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
        else:  # among several inputs of a layer, token ids come before segment ids
            pads = [getattr(layer, "pad_token_id", None)] * len(tensors)
            known = [n for n, tensor in enumerate(tensors) if id(tensor) in places]
            named = [n for n in known if "Token" in tensors[n].name] or known
            pads = [pad if named[:1] == [n] else None for n, pad in enumerate(pads)]
        for tensor, pad in zip(tensors, pads, strict=False):
            if pad is not None and pad >= 0 and id(tensor) in places:
                found[places[id(tensor)]] = pad
    return found

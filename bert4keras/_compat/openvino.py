"""OpenVINO, a backend of Keras that only predicts: graphs of any length, and their precision.

Keras' trainer for this backend builds a graph for each length of a text, keeps one, forgets that
weights may change, and takes the precision that OpenVINO chooses, bfloat16 on some CPUs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from .._types import Tensor
from .masks import keras_mask

_PRECISION = "BERT4KERAS_OPENVINO_PRECISION"
_HINTS = ("f32", "bf16", "f16")
# A compiled graph has memory for one run; a run uses all cores.
_LOCK = threading.RLock()
_TRACED: list[_Graph] = []


class _Graph:
    """OpenVINO's graph of a function of tensors.

    Args:
        function: called with symbolic tensors.
        *arguments: structures of `keras.KerasTensor`; a length that is None stays open.

    Attributes:
        model: an `openvino.Model`; its inputs and outputs are those of the function, flat.
        outputs: structure that the function returned, of symbolic tensors.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any):
        from keras.src.backend.openvino.core import get_ov_output
        from openvino import Model, opset14

        self._checks: list[tuple[str, Callable[[np.ndarray], None]]] = []
        self._compiled: Any = None
        inputs = keras.tree.map_structure(_parameter, arguments)
        _TRACED.append(self)
        try:
            with keras.StatelessScope():  # new states, of dropout say, are dropped
                self.outputs = function(*inputs)
        finally:
            _TRACED.pop()
        nodes = [x.output.get_node() for x in keras.tree.flatten(inputs)]
        results = [opset14.result(get_ov_output(x)) for x in keras.tree.flatten(self.outputs)]
        self.model = Model(results=results, parameters=nodes)
        self._places = {node.get_name(): place for place, node in enumerate(nodes)}

    def check_input(self, values: Tensor, check: Callable[[np.ndarray], None]) -> None:
        """Call `check` with the values of an input at each run; ignore what is no input."""
        node = values.output.get_node()
        while node.get_type_name() == "Convert":
            node = node.input_value(0).get_node()
        self._checks.append((node.get_name(), check))

    def run(self, arrays: Sequence[Any]) -> list[np.ndarray]:
        """Return the flat outputs for flat inputs; the first run compiles the graph."""
        import openvino

        arrays = [np.asarray(keras.ops.convert_to_numpy(x)) for x in arrays]
        for name, check in self._checks:
            if name in self._places:
                check(arrays[self._places[name]])
        with _LOCK:
            if self._compiled is None:
                hint = {"INFERENCE_PRECISION_HINT": _precision()}
                self._compiled = openvino.compile_model(self.model, "CPU", hint)
            return list(self._compiled(arrays).to_tuple())

    def __call__(self, *arguments: Any) -> Any:
        """Return the outputs for arguments in the structure that the graph was made with."""
        found = self.run(keras.tree.flatten(arguments))
        return keras.tree.pack_sequence_as(self.outputs, found)


def _precision() -> str:
    """Return the precision of graphs that are compiled from now on."""
    name = os.environ.get(_PRECISION) or _HINTS[0]
    if name not in _HINTS:
        raise ValueError(f"{_PRECISION} is {name!r}; it must be one of {', '.join(_HINTS)}.")
    return name


def check_input(values: Tensor, check: Callable[[np.ndarray], None]) -> None:
    """Check an input of the graph that is being made, whenever it runs; see `_Graph`."""
    if _TRACED:
        _TRACED[-1].check_input(values, check)


def openvino_function(function: Callable[..., Any], model: keras.Model) -> Callable[..., Any]:
    """Make a graph of a function for each of the shapes that it is called with.

    Args:
        function: of structures of tensors.
        model: the model whose weights it reads; new weights need new graphs.
    """
    graphs: dict[Any, _Graph] = {}
    weights: list[Any] = []

    def run(*arguments: Any) -> Any:
        specs = keras.tree.map_structure(_spec, arguments)
        key = _key(specs)
        with _LOCK:
            if not _same_objects(weights, now := _weight_values(model)):
                graphs.clear()
                weights[:] = now
            if key not in graphs:
                graphs[key] = _Graph(function, *specs)
        return graphs[key](*arguments)

    return run


def openvino_graph(model: keras.Model) -> Any:
    """Return a functional model as an `openvino.Model`, with the names of its inputs.

    Keras' `model.export` cannot do it for a model of several inputs.
    """
    return _Graph(lambda x: model(x, training=False), model.input).model


def extend_trainer() -> None:
    """Make `predict` and `evaluate` of all models use `_Graph`, and `fit` say what to do.

    The trainer's own step to a compiled graph is replaced, since models of Keras (which a user
    makes from ours) share no class that we could extend.
    """
    from keras.src.backend.openvino.trainer import OpenVINOTrainer

    OpenVINOTrainer._get_compiled_model = _model_graph
    OpenVINOTrainer.fit = OpenVINOTrainer.train_on_batch = _refuse_training


def _refuse_training(*args: Any, **kwargs: Any) -> Any:
    """Raise the error of everything that trains."""
    raise NotImplementedError(
        "OpenVINO only predicts. Train with KERAS_BACKEND=tensorflow, jax or torch and save the "
        "model or task: it loads and predicts with KERAS_BACKEND=openvino."
    )


class _Outputs(tuple):
    """Arrays as OpenVINO's own result of a run."""

    def to_tuple(self) -> tuple[np.ndarray, ...]:
        return self


class _ModelGraph:
    """_Graph of a model, called as Keras' trainer calls a compiled model of OpenVINO.

    Args:
        model: the model.
        specs: its inputs as `keras.KerasTensor`, in their structure.
    """

    def __init__(self, model: keras.Model, specs: Any):
        self.key, self.weights = _key(specs), _weight_values(model)
        options = {"training": False} if model._call_has_training_arg else {}
        masks: dict[int, Tensor] = {}

        def call(x: Any) -> list[Tensor]:
            self.outputs = model(x, **options)
            flat = keras.tree.flatten(self.outputs)
            masks.update((i, m) for i, y in enumerate(flat) if (m := keras_mask(y)) is not None)
            return [*flat, *masks.values()]

        self.graph = _Graph(call, specs)
        self.count = len(self.graph.outputs) - len(masks)
        self.mask_places = {output: self.count + i for i, output in enumerate(masks)}

    def __call__(self, arrays: Sequence[Any]) -> _Outputs:
        return _Outputs(self.graph.run(arrays))

    def fits(self, model: keras.Model, specs: Any) -> bool:
        """Return whether the graph was made for such inputs and has the weights of today."""
        return self.key == _key(specs) and _same_objects(self.weights, _weight_values(model))


def _model_graph(self: keras.Model, data: Any) -> _ModelGraph:
    """Return the graph of a model for a batch: `OpenVINOTrainer._get_compiled_model`."""
    with _LOCK:
        fixed = keras.tree.map_structure(lambda x: _spec(x, open_axes=(0,)), data)
        specs = _with_open_lengths(self, fixed)
        kept = self.ov_compiled_model
        if not (kept and (kept.fits(self, specs) or kept.fits(self, fixed))):
            try:
                kept = _ModelGraph(self, specs)
            except Exception:  # Keras has many, if a layer has to know the length
                kept = _ModelGraph(self, fixed)
            self.ov_compiled_model = kept
        # Read by `OpenVINOTrainer._unpack_inference_outputs`.
        self.struct_outputs, self._n_main_outputs = kept.outputs, kept.count
        self._output_mask_indices = kept.mask_places
        return kept


def _with_open_lengths(model: keras.Model, specs: Any) -> Any:
    """Return specs whose axes are open where those of the model's inputs are."""
    inputs = list(getattr(model, "inputs", None) or [])
    if isinstance(specs, dict):
        named = {x.name: x for x in inputs}
        inputs = [named.get(name) for name in sorted(specs)]
    flat = keras.tree.flatten(specs)
    if len(inputs) != len(flat):
        return specs
    opened = [
        spec
        if symbol is None or len(symbol.shape) != len(spec.shape)
        else keras.KerasTensor(symbol.shape, spec.dtype, name=symbol.name)
        for spec, symbol in zip(flat, inputs, strict=True)
    ]
    return keras.tree.pack_sequence_as(specs, opened)


def _spec(x: Any, open_axes: Sequence[int] = ()) -> keras.KerasTensor:
    """Return shape and dtype of an array or tensor."""
    x = x if hasattr(x, "shape") else np.asarray(x)
    shape = [None if axis in open_axes else n for axis, n in enumerate(x.shape)]
    return keras.KerasTensor(shape, keras.backend.standardize_dtype(x.dtype), name="")


def _key(specs: Any) -> tuple[Any, ...]:
    """Return what a compiled graph depends on."""
    return (_precision(), *((tuple(x.shape), x.dtype) for x in keras.tree.flatten(specs)))


def _weight_values(model: keras.Model) -> list[Any]:
    """Return the values of a model's weights: an assignment makes a new one."""
    return [weight.value for weight in model.weights]


def _same_objects(old: Sequence[Any], new: Sequence[Any]) -> bool:
    """Return whether two lists have the same objects."""
    return len(old) == len(new) and all(x is y for x, y in zip(old, new, strict=True))


def _parameter(spec: keras.KerasTensor) -> Tensor:
    """Return a symbolic input of a graph."""
    from keras.src.backend.openvino.core import OPENVINO_DTYPES, OpenVINOKerasTensor
    from openvino import opset14

    shape = [-1 if n is None else n for n in spec.shape]
    node = opset14.parameter(shape, OPENVINO_DTYPES[spec.dtype])
    if spec.name:
        node.set_friendly_name(spec.name)
        node.output(0).set_names({spec.name})
    return OpenVINOKerasTensor(node.output(0))

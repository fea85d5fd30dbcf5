"""From Keras models to graphs of an engine.

Each format is built on one backend. If Keras runs on another one, another process reads the models
from files and builds the graphs there:

    python -m bert4keras.export.convert FORMAT PRECISION DIRECTORY NAME.keras ...
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from .._compat import inner_layers, openvino_graph
from .engines import ENGINES
from .errors import ExportError
from .exported_model import as_inputs
from .quiet import quiet

# Sizes of the dimensions that vary, while a graph is recorded: all different, none of them 1, which
# a tracer would take for a constant.
_SIZES = (3, 11, 5, 7)
_LONGEST_REASON = 300  # characters of the message of a converter
_REPORTED = 3  # exit status of the other process if its output is the message of an error


def convert_models(
    models: Mapping[str, keras.Model], directory: Path, format: str, precision: str
) -> str:
    """Write models as graphs of a format.

    Args:
        models: functional models, by the names of their graphs.
        directory: where the graphs go.
        format: one of `ENGINES`.
        precision: one of the engine's precisions; "int8" writes float32, which is quantized later.

    Returns:
        Name of the backend that built the graphs.

    Raises:
        ExportError: the backend, or what it needs, is not installed; or a layer has no equivalent.
    """
    backend, needed, _ = _BUILDERS[format]
    for module, package in needed.items():
        if importlib.util.find_spec(module) is None:
            raise ExportError(
                f"a graph for {format} is built by Keras on {backend}, which needs {package}: pip "
                f"install {package}."
            )
    if keras.backend.backend() == backend:
        _build(models, directory, format, precision)
    else:
        _build_in_child(models, directory, format, precision, backend)
    return backend


def _build(models: Mapping[str, keras.Model], directory: Path, format: str, precision: str) -> None:
    for name, model in models.items():
        try:
            _BUILDERS[format][2](model, ENGINES[format].graph(directory, name), precision)
        except Exception as error:  # converters raise all kinds
            reason = _reason_of(str(error) or type(error).__name__)
            raise ExportError(f"{name} cannot be a graph for {format}: {reason}") from error


def _reason_of(message: str) -> str:
    """Return what matters of a converter's message, which may have thousands of lines."""
    for start in ("TF Select ops:", "## Exception summary"):
        _, found, after = message.partition(start)
        if found:
            message = (start + after).lstrip("# ")
    text = " ".join(message.split())
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + " ..."


def _build_in_child(
    models: Mapping[str, keras.Model], directory: Path, format: str, precision: str, backend: str
) -> None:
    """Build the graphs in a process with another backend."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, model in models.items():
            files.append(Path(folder, f"{name}.keras"))
            keras.saving.save_model(model, files[-1])
        layers = [layer for model in models.values() for layer in inner_layers(model)]
        modules = {type(layer).__module__ for layer in layers}
        known = ("keras", __name__.partition(".")[0])
        own = sorted(name for name in modules if name.partition(".")[0] not in known)
        command = [sys.executable, "-m", __name__, format, precision, str(directory)]
        root = str(Path(__file__).resolve().parents[2])
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join([root, *sys.path]),  # where the modules of layers are
            "BERT4KERAS_MODULES": ",".join(own),
        }
        done = subprocess.run(
            [*command, *map(str, files)], env=environment, capture_output=True, text=True
        )
    if done.returncode:
        log = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()
        reason = done.stdout.strip() if done.returncode == _REPORTED else log[-1]
        if "__main__" in own:
            reason += " Layers that a script defines are not known there: put them into a module."
        raise ExportError(f"on the backend {backend}, in another process: {reason}")


def _build_saved(arguments: list[str]) -> None:
    """Build the graphs of saved models; the arguments are those of the module's docstring."""
    for name in filter(None, os.environ.get("BERT4KERAS_MODULES", "").split(",")):
        importlib.import_module(name)
    format, precision, directory, *files = arguments
    models = {Path(file).stem: keras.saving.load_model(file, compile=False) for file in files}
    _build(models, Path(directory), format, precision)


def _to_openvino(model: keras.Model, path: Path, precision: str) -> None:
    import openvino

    openvino.save_model(openvino_graph(model), path, compress_to_fp16=precision == "float16")


def _to_onnx(model: keras.Model, path: Path, precision: str) -> None:
    import torch

    class Module(torch.nn.Module):  # with tensors in place of a list of tensors
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            found = self.model(as_inputs(model, tensors), training=False)
            return tuple(keras.tree.flatten(found))

    inputs, dynamic = [], []
    for tensor in model.inputs:
        varying = iter(_SIZES)
        shape = [next(varying) if size is None else size for size in tensor.shape]
        inputs.append(torch.as_tensor(np.ones(shape, tensor.dtype)))
        dims = enumerate(tensor.shape)
        dynamic.append({axis: torch.export.Dim.DYNAMIC for axis, size in dims if size is None})
    with torch.no_grad(), quiet("torch.onnx"):
        program = torch.onnx.export(
            Module().eval(),
            tuple(inputs),
            dynamo=True,
            dynamic_shapes=(tuple(dynamic),),
            input_names=[tensor.name for tensor in model.inputs],
            verbose=False,
        )
    if program is None:
        raise ExportError("torch returned no graph")
    program.save(path, external_data=False)


def _function(model: keras.Model) -> tuple[Any, Any]:
    """Return a model as a function of TensorFlow with outputs `output_00`, ..., and its owner."""
    import tensorflow as tf

    specs = [tf.TensorSpec(x.shape, x.dtype, name=x.name) for x in model.inputs]

    @tf.function(input_signature=specs, autograph=False)
    def run(*tensors: Any) -> dict[str, Any]:
        found = model(as_inputs(model, tensors), training=False)
        flat = keras.tree.flatten(found)
        return {f"output_{n:02}": tf.identity(value) for n, value in enumerate(flat)}

    owner = tf.Module()
    owner.model, owner.run = model, run
    return owner, run


def _to_saved_model(model: keras.Model, path: Path, precision: str) -> None:
    import tensorflow as tf

    owner, run = _function(model)
    with quiet("tensorflow"):
        tf.saved_model.save(owner, str(path), signatures=run.get_concrete_function())


def _get_item(original: Callable, x: Any, key: Any) -> Any:
    """Return `x[key]`, with `expand_dims` for each None of the key."""
    key = key if isinstance(key, tuple) else (key,)
    if not any(item is None for item in key):
        return original(x, key)
    rest = tuple(item for item in key if item is not None)
    y = original(x, rest) if rest else x
    axis = 0  # of the result, for the next item of the key
    for item in key:
        if item is None:
            y = keras.ops.expand_dims(y, axis)
        if item is Ellipsis:
            axis += x.shape.rank - len(rest) + 1
        elif item is None or isinstance(item, slice):
            axis += 1
    return y


@contextlib.contextmanager
def _expanding_dims() -> Iterator[None]:
    """Let `x[:, None]` be recorded as `expand_dims`: LiteRT has no operation for new axes."""
    import tensorflow as tf

    original = tf.Tensor.__getitem__
    tf.Tensor.__getitem__ = lambda x, key: _get_item(original, x, key)
    try:
        yield
    finally:
        tf.Tensor.__getitem__ = original


def _to_litert(model: keras.Model, path: Path, precision: str) -> None:
    import tensorflow as tf

    with quiet("tensorflow"), _expanding_dims():
        # Without an owner of the variables, they become constants of the graph.
        function = _function(model)[1].get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
        if precision != "float32":  # int8: weights only, activations in float32
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        path.write_bytes(converter.convert())


# Format -> backend of Keras that builds its graphs, modules and packages needed, function.
_BUILDERS: dict[str, tuple[str, dict[str, str], Callable[[keras.Model, Path, str], None]]] = {
    "openvino": ("openvino", {"openvino": "openvino"}, _to_openvino),
    "onnx": ("torch", {"torch": "torch", "onnxscript": "onnxscript"}, _to_onnx),
    "litert": ("tensorflow", {"tensorflow": "tensorflow"}, _to_litert),
    "saved_model": ("tensorflow", {"tensorflow": "tensorflow"}, _to_saved_model),
}

if __name__ == "__main__":
    try:
        _build_saved(sys.argv[1:])
    except ValueError as error:  # of Keras, and ExportError
        print(error)
        sys.exit(_REPORTED)

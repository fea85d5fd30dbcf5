"""Engines that run exported graphs, each imported only where it is used."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .errors import ExportError
from .exported_model import Signature


class _Engine:
    """A graph in an engine; a function from arrays of its inputs to arrays of its outputs.

    Args:
        directory: directory of the export.
        name: name of the graph.
        signature: its inputs and outputs.
        precision: precision in which it was exported.
        threads: number of CPU threads; None: the engine decides.
    """

    file: ClassVar[str]  # file or directory of a graph; {} is its name
    package: ClassVar[str]  # what `pip install` installs
    module: ClassVar[str]  # module of that package
    precisions: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        directory: Path,
        name: str,
        signature: Signature,
        precision: str,
        threads: int | None = None,
    ):
        self.path, self.signature = self.graph(directory, name), signature
        if not self.path.exists():
            raise ExportError(f"{self.path} is missing: export the task again.")
        self.require()
        try:
            self.open(precision, threads)
        except Exception as error:  # each engine has its own kinds
            raise ExportError(f"{self.path} cannot be opened: {error}") from error

    @classmethod
    def graph(cls, directory: Path, name: str) -> Path:
        """Return the path of a graph in the directory of an export."""
        return directory / cls.file.format(name)

    @classmethod
    def require(cls) -> None:
        """Raise `ExportError` if the engine is not installed; the message says how to get it."""
        if importlib.util.find_spec(cls.module.partition(".")[0]) is None:
            raise ExportError(f"the engine is not installed: pip install {cls.package}.")

    def open(self, precision: str, threads: int | None) -> None:
        """Read the graph from `self.path`."""
        raise NotImplementedError

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        raise NotImplementedError


class _OpenVINO(_Engine):
    """OpenVINO on the CPU."""

    file, package, module = "{}.xml", "openvino", "openvino"
    precisions = ("float32", "float16", "bfloat16", "int8")

    def open(self, precision: str, threads: int | None) -> None:
        import openvino

        core = openvino.Core()
        able = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        # Without the hint, a CPU that is able would always compute in bfloat16.
        hint = "bf16" if able and precision == "bfloat16" else "f32"
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": hint}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        self._model = core.compile_model(core.read_model(self.path), "CPU", options)
        self._requests = threading.local()  # a request runs in one thread at a time

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        if not hasattr(self._requests, "own"):
            self._requests.own = self._model.create_infer_request()
        found = self._requests.own.infer(list(arrays))
        return [np.array(found[output]) for output in self._model.outputs]


class _ONNXRuntime(_Engine):
    """ONNX Runtime on the CPU."""

    file, package, module = "{}.onnx", "onnxruntime", "onnxruntime"
    precisions = ("float32", "int8")

    def open(self, precision: str, threads: int | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            self.path, options, providers=["CPUExecutionProvider"]
        )
        self._names = {value.name for value in self._session.get_inputs()}

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        given = zip(self.signature.inputs, arrays, strict=True)
        feed = {spec.name: array for spec, array in given if spec.name in self._names}
        return self._session.run(None, feed)


class _LiteRT(_Engine):
    """LiteRT, formerly TensorFlow Lite."""

    file, package, module = "{}.tflite", "ai-edge-litert", "ai_edge_litert"
    precisions = ("float32", "float16", "int8")

    def open(self, precision: str, threads: int | None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(self.path), num_threads=threads)
        places = {value["name"]: value["index"] for value in self._interpreter.get_input_details()}
        # A graph leaves out inputs that it does not need.
        self._places = [places.get(spec.name) for spec in self.signature.inputs]
        self._results = [value["index"] for value in self._interpreter.get_output_details()]
        self._lock = threading.Lock()

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        interpreter = self._interpreter
        used = [(n, a) for n, a in zip(self._places, arrays, strict=True) if n is not None]
        with self._lock:
            for place, array in used:
                interpreter.resize_tensor_input(place, array.shape)
            interpreter.allocate_tensors()
            for place, array in used:
                interpreter.set_tensor(place, array)
            interpreter.invoke()
            return [interpreter.get_tensor(place) for place in self._results]


class _SavedModel(_Engine):
    """The format of TensorFlow, which also runs it."""

    file, package, module = "{}", "tensorflow", "tensorflow"
    precisions = ("float32",)

    def open(self, precision: str, threads: int | None) -> None:
        import tensorflow as tf

        self._loaded = tf.saved_model.load(str(self.path))  # which must live as long as its graph
        self._function = self._loaded.signatures["serving_default"]

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        import tensorflow as tf

        given = zip(self.signature.inputs, arrays, strict=True)
        found = self._function(**{spec.name: tf.constant(array) for spec, array in given})
        return [found[name].numpy() for name in sorted(found)]


ENGINES: dict[str, type[_Engine]] = {
    "openvino": _OpenVINO,
    "onnx": _ONNXRuntime,
    "litert": _LiteRT,
    "saved_model": _SavedModel,
}
"""Format of an export -> the engine that runs it."""

"""Quantization to int8 after training, with activations measured on calibration texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .engines import ENGINES
from .errors import ExportError
from .exported_model import Signature
from .quiet import quiet

_MAX_BATCHES = 300  # batches of calibration that are used at most


def quantize_graph(
    directory: Path,
    name: str,
    format: str,
    signature: Signature,
    batches: Sequence[Sequence[np.ndarray]],
) -> None:
    """Replace a float32 graph by one with int8 weights and, except LiteRT's, int8 activations.

    Args:
        directory, name, format: where the graph is, its name and its format.
        signature: its inputs.
        batches: arrays of the inputs for texts like those to come; the ranges of the activations
            are measured on them.

    Raises:
        ExportError: NNCF is not installed.
    """
    if format == "litert":  # its converter has quantized the weights
        return
    try:
        import nncf
    except ImportError:
        raise ExportError("int8 needs NNCF: pip install nncf.") from None
    path = ENGINES[format].graph(directory, name)
    names = [spec.name for spec in signature.inputs]
    samples = [dict(zip(names, batch, strict=True)) for batch in batches[:_MAX_BATCHES]]
    read, write = _ACCESS[format]
    model = read(path)
    options = {"model_type": nncf.ModelType.TRANSFORMER, "subset_size": len(samples)}
    with quiet("nncf"):
        quantized = nncf.quantize(model, nncf.Dataset(samples), **options)
    write(quantized, path)


def _read_openvino(path: Path) -> Any:
    import openvino

    # Into memory: the file is replaced while the model is still in use.
    return openvino.Core().read_model(
        path.read_bytes(), openvino.Tensor(np.fromfile(path.with_suffix(".bin"), np.uint8))
    )


def _write_openvino(model: Any, path: Path) -> None:
    import openvino

    openvino.save_model(model, path, compress_to_fp16=False)


def _read_onnx(path: Path) -> Any:
    import onnx

    return onnx.load(str(path))


def _write_onnx(model: Any, path: Path) -> None:
    import onnx

    onnx.save(model, str(path))


_ACCESS = {"openvino": (_read_openvino, _write_openvino), "onnx": (_read_onnx, _write_onnx)}

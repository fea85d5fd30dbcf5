"""A task as graphs of another engine, in a directory that runs without Keras.

Beside the files of `Task.save` without the model there are

    export.json    engine, precision, inputs and outputs of the graphs, facts about the encoder
    facts.npz      arrays among the facts, such as the transitions of a CRF
    model.*        the graph; in tasks that run several models, more of them
    parity.json    how the exported task compares with the original

Texts become arrays and arrays answers by the same code as ever: `tasks.load` puts an
`ExportedModel` in the place of the `keras.Model`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._files import atomic_directory
from .._structure import flatten
from ..export import ExportedModel, ExportError, Signature
from ..export.engines import ENGINES
from ..export.exported_model import as_inputs
from ..export.loading import load_exported
from ..export.quantize import quantize_graph
from ..export.storage import EXPORT_FILE, write_export
from .base import Task
from .parity import ParityReport, compare, random_rows
from .samples import all_samples, pairs_of
from .storage import TASK, description, model_card

_CALIBRATION_BATCH = 8  # rows per batch of calibration


def export_task(
    task: Task,
    directory: str | Path,
    format: str = "openvino",
    precision: str = "float32",
    samples: Iterable[tuple[Any, Any]] = (),
    calibration: Iterable[Any] = (),
) -> ParityReport:
    """Write a task so that it runs without Keras; `bert4keras.export.load` reads it.

    Length and number of the texts of a batch stay free. The graph of a format is built on one
    backend of Keras (OpenVINO: openvino; ONNX: torch; LiteRT and saved_model: tensorflow), in a
    separate process if another one is in use.

    Args:
        task: a task with a trained model.
        directory: destination; replaced as a whole if it already holds an export.
        format: "openvino", "onnx", "litert" or "saved_model".
        precision: "float32"; "float16": weights of half the size (openvino, litert); "bfloat16":
            computed in it where the CPU can (openvino); "int8": quantized (not saved_model).
        samples: labelled samples, as of `evaluate`, on which the exported task is compared with the
            original. Without any, only outputs for random tokens are compared.
        calibration: samples without labels, best some hundreds that were trained on; needed for
            "int8" of openvino and onnx, whose activations are quantized too.

    Returns:
        How the exported task compares with the original; it is also written as `parity.json` and
        into the README.md of the directory.

    Raises:
        ExportError: a format or precision that does not exist, a package that is missing, or a
            model that the format cannot express.
        TaskError: a task that cannot be exported, or samples that do not fit it.
    """
    directory, samples = Path(directory), list(pairs_of(samples))
    _refuse_export(task, directory, format, precision)
    rows = _encoded_rows(task, calibration) if precision == "int8" else []
    if precision == "int8" and not rows and format != "litert":
        raise ExportError(
            "int8 needs calibration texts, such as 300 of those that the task was trained on: "
            "export(..., calibration=texts)."
        )
    models = task.exported_models()
    if len(models) > 1 and precision == "int8":
        raise ExportError(f"{type(task).__name__} runs several graphs, which int8 does not cover.")
    from ..export.convert import convert_models

    with atomic_directory(directory) as staging:
        backend = convert_models(models, staging, format, precision)
        signatures = {name: Signature.of(model) for name, model in models.items()}
        facts = task.exported_facts() | {
            "encoder": task.encoder.to_json(),
            "weights": task.model.count_params(),
        }
        if precision == "int8":
            batches = _batches(task, rows)
            quantize_graph(staging, "model", format, signatures["model"], batches)
        write_export(staging, format, precision, signatures, facts)
        task.tokenizer.save(staging)
        task.save_assets(staging)
        (staging / TASK).write_text(description(task), encoding="utf-8")
        report = _compare(task, models, staging, samples, backend)
        parity = json.dumps(report.to_json(), indent=2) + "\n"
        (staging / "parity.json").write_text(parity, encoding="utf-8")
        (staging / "README.md").write_text(
            _export_card(task, format, precision, report), encoding="utf-8"
        )
    return report


def _refuse_export(task: Task, directory: Path, format: str, precision: str) -> None:
    if format not in ENGINES:
        raise ExportError(f"format={format!r} must be one of {', '.join(ENGINES)}.")
    engine = ENGINES[format]
    if precision not in engine.precisions:
        raise ExportError(
            f"precision={precision!r} does not exist for {format}: {', '.join(engine.precisions)}."
        )
    if isinstance(task.model, ExportedModel):
        raise ExportError("this task is an export; export the task that it was made of.")
    if task.not_exported:
        raise ExportError(
            f"a {type(task).__name__} cannot be exported: {task.not_exported}. `bert4keras serve` "
            "serves it with Keras."
        )
    if directory.exists() and not (directory / EXPORT_FILE).is_file() and any(directory.iterdir()):
        raise ExportError(
            f"{directory} exists and holds no export; it is not replaced. Choose another "
            "directory, or remove it."
        )
    engine.require()


def _encoded_rows(task: Task, samples: Iterable[Any]) -> list[tuple[Any, ...]]:
    return [row for sample in all_samples(samples) for row in task.encode(sample).rows]


def _batches(task: Task, rows: Sequence[tuple[Any, ...]]) -> list[list[np.ndarray]]:
    """Return batches of rows of similar length, as arrays of the model's inputs."""
    rows = sorted(rows, key=lambda row: len(row[0]))
    size = _CALIBRATION_BATCH if task.encoder.pad_token_id is not None else 1
    return [task.encoder.batch(rows[i : i + size]) for i in range(0, len(rows), size)]


def _compare(
    task: Task, models: dict[str, Any], directory: Path, samples: list[Any], backend: str
) -> ParityReport:
    """Compare the task with the export in a directory."""
    exported = load_exported(directory)
    rows = _encoded_rows(task, [sample for sample, _ in samples[:32]]) or random_rows(task)
    difference, scale = 0.0, 0.0
    for batch in _batches(task, rows):
        ours = flatten(models["model"].predict_on_batch(as_inputs(models["model"], batch)))
        theirs = flatten(exported.model.predict_on_batch(batch))
        for a, b in zip(ours, theirs, strict=True):
            a, b = (np.asarray(x, "float64") for x in (a, b))
            real = np.abs(a) < 1e5  # scores of what is masked are lower
            if not np.isfinite(b[real]).all():
                raise ExportError(
                    f"the graph gives {b[real][~np.isfinite(b[real])][0]} where the model gives "
                    "numbers; nothing is written. Use another format or precision."
                )
            difference = max(difference, float(np.abs(a - b)[real].max(initial=0)))
            scale = max(scale, float(np.abs(a)[real].max(initial=0)))
    size = sum(path.stat().st_size for path in directory.rglob("*") if _is_graph(path))
    return compare(task, exported, samples, difference, scale, size, backend)


def _is_graph(path: Path) -> bool:
    return (path.is_file() and path.suffix in (".xml", ".bin", ".onnx", ".tflite", ".pb")) or (
        path.parent.name == "variables"
    )


def _export_card(task: Task, format: str, precision: str, report: ParityReport) -> str:
    """Write the README.md of an export."""
    engine = ENGINES[format]
    text = model_card(task).replace(
        'from bert4keras import tasks\n\ntask = tasks.load("DIRECTORY")',
        'import bert4keras.export\n\ntask = bert4keras.export.load("DIRECTORY")',
    )
    return (
        f"{text}\n## Export\n\nA graph for {format} in {precision}, which runs on numpy, "
        f"tokenizers and {engine.package}.\n\n{report}\n"
    )

"""`bert4keras export`: a task directory that runs without Keras."""

from __future__ import annotations

from pathlib import Path

import click

from .benchmark import read_some
from .common import ModelCommand, emit, note, quiet_libraries
from .data import Reading, kind_of, reading_options
from .evaluate import unlabelled

# As `export.engines.ENGINES`, which is not imported for the help.
_FORMAT_NAMES = ("openvino", "onnx", "litert", "saved_model")
_EXPORT_PRECISIONS = ("float32", "float16", "bfloat16", "int8")


@click.command("export", cls=ModelCommand)
@click.argument("directory")
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--format", type=click.Choice(_FORMAT_NAMES), default="openvino", show_default=True)
@click.option(
    "--precision", type=click.Choice(_EXPORT_PRECISIONS), default="float32", show_default=True
)
@click.option(
    "--samples",
    type=click.Path(path_type=Path),
    help="Labelled file on which the exported task is compared with the original.",
)
@click.option(
    "--calibration",
    help="File of texts, as of predict, that int8 needs; best some that were trained on.",
)
@click.option(
    "--most",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Texts of --calibration that are read.",
)
@reading_options
def command(
    directory: str,
    destination: Path,
    format: str,
    precision: str,
    samples: Path | None,
    calibration: str | None,
    most: int,
    reading: Reading,
) -> None:
    """Write the task in DIRECTORY to DESTINATION so that it runs without Keras.

    predict, evaluate, serve and benchmark take DESTINATION like any task directory, and Python has
    bert4keras.export.load. It is compared with the original; the report is parity.json.

    Example: bert4keras export ner exported --format onnx --samples test.json
    """
    from ..export import ExportedModel
    from ..tasks import load

    task = load(directory)
    pairs = []
    if samples is not None and not isinstance(task.model, ExportedModel):
        read = kind_of(task).read(samples, reading.for_task(task))
        pairs = list(zip(*unlabelled(read), strict=True))
    texts = read_some(task, calibration, most, reading.text_columns) if calibration else []
    note(f"building a graph for {format}")
    with quiet_libraries():  # Keras imports TensorFlow to save a model
        report = task.export(destination, format, precision, samples=pairs, calibration=texts)
    emit({"directory": str(destination), **report.to_json()}, f"{destination}\n{report}")

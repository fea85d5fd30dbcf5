"""The file `export.json` and the arrays of an export; see `tasks.exporting` for the directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._json import read_json, short_repr
from .engines import ENGINES
from .errors import ExportError
from .exported_model import ExportedModel, Signature

EXPORT_FILE = "export.json"
"""File of an export that names its engine, precision, graphs and facts."""
ARRAYS = "facts.npz"
_VERSION = 1


def write_export(
    directory: Path,
    format: str,
    precision: str,
    signatures: Mapping[str, Signature],
    facts: Mapping[str, Any],
) -> None:
    """Write what the graphs in a directory are.

    Args:
        directory: directory of the export.
        format, precision: of the graphs.
        signatures: inputs and outputs of each graph, by name; "model" is the main one.
        facts: of `ExportedModel`.
    """
    arrays = {name: value for name, value in facts.items() if isinstance(value, np.ndarray)}
    if arrays:
        np.savez(directory / ARRAYS, **arrays)
    values = {
        "format": _VERSION,
        "engine": format,
        "precision": precision,
        "models": {name: signature.to_json() for name, signature in signatures.items()},
        "facts": {name: value for name, value in facts.items() if name not in arrays},
        "arrays": sorted(arrays),
    }
    (directory / EXPORT_FILE).write_text(
        json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8"
    )


def open_export(directory: Path, threads: int | None = None) -> ExportedModel:
    """Open the graphs of an export.

    Args:
        directory: directory of the export.
        threads: number of CPU threads; None: the engine decides.

    Raises:
        ExportError: a file that is missing or damaged, or an engine that is not installed.
    """
    path = directory / EXPORT_FILE
    values = read_json(path, ExportError)
    number, format = values.get("format"), values.get("engine")
    if number != _VERSION or format not in ENGINES:
        raise ExportError(
            f"{path} has format {short_repr(number)} and engine {short_repr(format)}; "
            f"this version reads format {_VERSION} of {', '.join(ENGINES)}."
        )
    try:
        signatures = {name: Signature.from_json(one) for name, one in values["models"].items()}
        facts, precision = dict(values["facts"]), str(values["precision"])
        if values["arrays"]:
            with np.load(directory / ARRAYS, allow_pickle=False) as file:
                facts |= {name: file[name] for name in values["arrays"]}
        signatures["model"]
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise ExportError(f"{path} cannot be read: {error!r}") from error
    if unsafe := [name for name in signatures if not name.isidentifier()]:
        raise ExportError(f"{path}: {short_repr(unsafe[0])} is no name of a graph.")
    opened = {
        name: ExportedModel(
            signature,
            ENGINES[format](directory, name, signature, precision, threads),
            facts,
            name=f"{format}-{precision}",
        )
        for name, signature in signatures.items()
    }
    model = opened.pop("model")
    model.parts = opened
    return model

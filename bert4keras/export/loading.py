"""Loading of an exported task."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from .errors import ExportError
from .storage import EXPORT_FILE


def load_exported(directory: str | Path, threads: int | None = None) -> Any:
    """Load the directory of an exported task, as `bert4keras.tasks.load` does.

    Args:
        directory: directory that `Task.export` wrote.
        threads: number of CPU threads; None: the engine decides.

    Returns:
        The task. It answers and is evaluated, but cannot be trained.

    Raises:
        ExportError: no export, an engine that is not installed, or a file that is missing or
            damaged.
    """
    if not (Path(directory) / EXPORT_FILE).is_file():
        raise ExportError(f"{directory} holds no {EXPORT_FILE}, so Task.export did not write it.")
    # Tasks know this package, which does not know them.
    return importlib.import_module("..tasks", __package__).load(directory, threads=threads)

#!/usr/bin/env python
"""Run notebooks from their own folder and store their outputs: examples/notebooks.

    python scripts/run_notebooks.py [notebook.ipynb ...]

KERAS_BACKEND chooses the backend. Needs nbclient and ipykernel. Logs that frameworks write to the
error stream are not stored.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent / "examples" / "notebooks"
TIMEOUT = 300  # seconds for a cell


def run(path: Path) -> nbformat.NotebookNode:
    """Run all cells of a notebook in a new process; return it with the new outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=TIMEOUT, resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return notebook


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Leave the error stream out, and join what was printed before and after it."""
    found: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.get("name") == "stderr":
            continue
        if found and found[-1].get("name") == output.get("name") == "stdout":
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def main() -> None:
    for path in map(Path, sys.argv[1:] or sorted(NOTEBOOKS.glob("*.ipynb"))):
        started = time.time()
        nbformat.write(run(path), path)
        print(f"{path}: {time.time() - started:.0f} s, {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()

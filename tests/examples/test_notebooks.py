"""The notebooks run from their folder without an error, and say what their stored outputs say."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
if not NOTEBOOKS.is_dir():  # an sdist
    pytest.skip("the notebooks are not part of this tree", allow_module_level=True)
nbformat = pytest.importorskip("nbformat")

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
# What each prints about its model: pattern -> smallest number; by chance they are far below.
SCORES = {
    "first_steps": {r"test accuracy ([\d.]+)": 0.54},
    "ner_zh": {r"f1 +([\d.]+)": 0.7},
    "one_bert_three_models": {r"right: ([\d.]+) of": 0.8, r"seasons right: ([\d.]+)": 0.5},
}


def texts(cell) -> str:
    """Return what a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def kinds(cell) -> list[str]:
    """Return the types of what a cell printed or showed."""
    return [
        "text" if output.output_type == "stream" else "+".join(sorted(output.data))
        for output in cell.outputs
    ]


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.spread(over="torch")
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_runs_and_says_what_is_stored(path):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    with warnings.catch_warnings():  # of the event loop and sockets of the kernel's client
        warnings.simplefilter("ignore")
        import run_notebooks

        done = run_notebooks.run(path)
    stored = nbformat.read(path, as_version=4)
    printed = ""
    for ours, theirs in zip(code_cells(done), code_cells(stored), strict=True):
        assert kinds(ours) == kinds(theirs), ours.source
        if "exact" in ours.metadata.get("tags", ()):
            assert texts(ours) == texts(theirs)
        printed += texts(ours)
    for pattern, least in SCORES[path.stem].items():
        (score,) = map(float, re.findall(f"^{pattern}", printed, re.MULTILINE))
        assert score >= least, printed


@pytest.mark.spread
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_is_complete(path):
    notebook = nbformat.read(path, as_version=4)
    cells = code_cells(notebook)
    assert all(cell.execution_count for cell in cells)
    assert [o for cell in cells for o in cell.outputs if o.output_type == "error"] == []
    assert sum("exact" in cell.metadata.get("tags", ()) for cell in cells) >= 1
    shown = {kind for cell in cells for kind in kinds(cell)}
    assert any("image/png" in kind for kind in shown)
    assert any("text/html" in kind for kind in shown)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "pip install" in prose
    for link in re.findall(r"\]\(([^)#]+)\)", prose):
        assert (path.parent / link).exists(), link
    assert path.stat().st_size < 200_000


def test_there_are_three():
    assert {path.stem for path in PATHS} == set(SCORES)

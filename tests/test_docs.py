"""Pages that scripts write say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "models.md"


def test_every_family_is_documented():
    import document_models

    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "`" in line]
    for row in document_models.families().values():
        names = ", ".join(f"`{name}`" for name in row["names"])
        formats = ", ".join(row["formats"]) or "-"
        start = f"| {row['class'].__name__} | {names} | {formats} |"
        assert any(line.startswith(start) for line in lines), (
            f"{start} is not in docs/models.md: run python scripts/document_models.py"
        )


def test_the_figures_are_within_the_bounds_of_the_tests():
    from helpers.families import TOLERANCE, TOLERANCES

    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row[0].startswith("| ") and row[-1][0].isdigit()]
    figures = [float(cell.strip(" |")) for row in rows for cell in row[-3:]]
    assert len(figures) >= 60
    assert max(figures) < max(TOLERANCE, *TOLERANCES.values())
    assert min(figures) > 0


if not (ROOT / "docs").is_dir():  # an sdist
    pytestmark = pytest.mark.skip("docs are not part of this tree")

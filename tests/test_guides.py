"""The guides: their Python runs, says what the page says, and every path they name exists."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from bert4keras import masks, training
from bert4keras.training.techniques import Technique
from helpers.pages import run_page

ROOT = Path(__file__).resolve().parent.parent
GUIDES = ROOT / "docs" / "guides"
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
SCRIPT = re.compile(r"\b(?:scripts|examples|tests)/[\w./]*\w")

if not GUIDES.is_dir():  # an sdist
    pytestmark = pytest.mark.skip("docs are not part of this tree")


def run(name: str) -> dict:
    import plot_initialization

    return plot_initialization.run(GUIDES / name)


@pytest.mark.spread
def test_layers_and_masks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run("layers_and_masks.md")
    assert names["remembered"] > 0.9
    # Euler's method is of first order, and its fit comes near the constants in the data.
    coarse, fine = names["errors"]
    assert 1.6 < coarse / fine < 2.4
    assert abs(names["r"] - 1) < 0.2
    assert abs(names["k"] - 2) < 0.15


@pytest.mark.spread
def test_tokenizers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run("tokenizers.md")
    assert "['[CLS]', 'the', '[E1]', 'storm', '##s', '[SEP]']" in capsys.readouterr().out


@pytest.mark.spread
def test_initialization():
    names = run("initialization.md")
    curves = names["curves"]
    assert [len(group) for group in curves.values()] == [3, 4, 5]
    assert {len(curve) for group in curves.values() for curve in group.values()} == {49}
    picture = (GUIDES / "initialization.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 100_000


@pytest.mark.spread
def test_density_models():
    names = run("density_models.md")
    assert names["found"] > 0.8
    assert names["middle"] > names["group"] + 1
    assert names["near"].mean() > 0.8


@pytest.mark.spread
def test_the_picture_of_densities(tmp_path):
    pytest.importorskip("matplotlib")
    import plot_densities

    points = plot_densities.two_moons(300, seed=0)
    model = plot_densities.RealNVP(2, 8)
    plot_densities.train(model, points, epochs=1)
    values = plot_densities.density(model)
    x, y = plot_densities.EDGES
    assert values.shape == (len(y), len(x))
    assert abs(values.sum() * (x[1] - x[0]) * (y[1] - y[0]) - 1) < 1e-3
    at = [values[np.abs(y - b).argmin(), np.abs(x - a).argmin()] for a, b in points[:100]]
    assert np.mean(at) > 2 * values.mean()  # rows are the second axis of the points
    plot_densities.draw(points, {"RealNVP": values}, tmp_path / "p.png")
    for path in (tmp_path / "p.png", plot_densities.PICTURE):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 80_000


@pytest.mark.spread
def test_sparse_attention(capsys):
    names = run("sparse_attention.md")
    assert names["near"] < 0.1
    assert names["all_over"] == 1
    assert "(2, 200, 16)" in capsys.readouterr().out


@pytest.mark.spread
@pytest.mark.parametrize("name", ["masks.md", "masks_zh.md"])
def test_masks(tmp_path, monkeypatch, name):
    """The page has a section for each mask, which draws it and builds a model with it."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    text = (GUIDES / name).read_text(encoding="utf-8")
    with warnings.catch_warnings():  # of Chinese tokens where no font has them
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        names, outputs = run_page(GUIDES / name)
    assert len(outputs) >= 14
    for printed, promised in outputs:
        assert printed == promised
    for application in masks.APPLICATIONS:
        assert re.search(rf'build_.*application="{application}"', text)
    for mask in ("Window", "Local", "Atrous", "Sparse", "TwoStream"):
        assert re.search(rf"build_.*application={mask}\(", text)
    assert names["both"].input_order == ("token_ids", "segment_ids", "document_ids")
    assert (tmp_path / "mask.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.spread
def test_the_pictures_of_masks(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    import plot_masks

    few = dict([*plot_masks.MASKS.items()][4:6])  # all of them take long
    monkeypatch.setattr(plot_masks, "MASKS", few)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        drawn = plot_masks.draw(tmp_path)
    assert len(drawn) == 3
    for path in (*drawn, *(GUIDES / path.name for path in drawn)):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 100_000


@pytest.mark.spread
def test_a_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    import plot_initialization

    curves = {"a": {"x": [1.0, 2.0]}, "b": {"x": [1.0, 1e-3], "y": [1.0, 1e3]}}
    plot_initialization.draw(curves, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.spread
@pytest.mark.parametrize("path", sorted(GUIDES.glob("*.md")), ids=lambda path: path.name)
def test_paths_exist(path):
    text = path.read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)  # calls look like links
    links = [path.parent / link for link in LINK.findall(prose) if "://" not in link]
    named = [*links, *(ROOT / name for name in SCRIPT.findall(text))]
    assert named
    assert [str(name) for name in named if not name.exists()] == []


@pytest.mark.spread
def test_regularization(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("regularization.md")
    assert (tmp_path / "plain.keras").exists()


@pytest.mark.spread
def test_every_technique_is_in_the_table_of_its_guide():
    text = (GUIDES / "regularization.md").read_text(encoding="utf-8")
    kinds = [getattr(training, name) for name in training.__all__]
    kinds = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Technique)]
    assert len(kinds) == 6
    for kind in kinds:
        assert f"| `{kind.__name__}(" in text

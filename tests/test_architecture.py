"""docs/architecture.md: its picture is current, its walks are what runs, its code runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from figures.imports import graph, imports, levels, reduced
from figures.source import ROOT, Source, package
from helpers.pages import run_page

PAGE = ROOT / "docs" / "architecture.md"
STEP = re.compile(r"^\| .* \| `([\w.]+)` \| `([\w./]+)` \|$", re.MULTILINE)

if not PAGE.is_file() or not package():  # an sdist, or its copy without the package
    pytestmark = pytest.mark.skip("the whole working tree is not here")


@pytest.fixture(scope="module")
def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_picture_is_current():
    import draw_architecture

    picture = draw_architecture.draw()
    assert draw_architecture.PICTURE.read_text(encoding="utf-8") == picture, (
        "run python scripts/draw_architecture.py"
    )
    edges = graph(package())
    assert set(edges) == set(draw_architecture.CAPTIONS)
    assert picture.count("<line ") == sum(map(len, reduced(edges).values()))


def parts(**texts: str) -> dict[str, set[str]]:
    return graph(Source(f"bert4keras/{name}.py", source) for name, source in texts.items())


def test_edges_are_read_off_the_imports():
    found = parts(
        a="from .b import x\nfrom . import c, _d\ndef f():\n  from . import e",
        b="import bert4keras.c\nif TYPE_CHECKING:\n  from .e import x",
        c="",
        _d="",
        e="",
        snippets="from .a import x",
    )
    assert found == {"a": {"b", "c"}, "b": {"c"}, "c": set(), "e": set()}
    assert reduced(found) == {"a": {"b"}, "b": {"c"}, "c": set(), "e": set()}
    assert levels(found) == {"a": 2, "b": 1, "c": 0, "e": 0}


def test_a_circle_is_refused():
    with pytest.raises(ValueError, match="a -> b -> a is a circle of imports"):
        levels(parts(a="from . import b", b="from . import a"))


def test_relative_imports_are_resolved():
    found = imports(ast.parse("from ..x import y\nfrom . import z"), "bert4keras.a.b", False)
    assert [name for _, name, _, _ in found] == ["bert4keras.x.y", "bert4keras.a.z"]
    found = imports(ast.parse("from .x import y"), "bert4keras.a", True)
    assert [name for _, name, _, _ in found] == ["bert4keras.a.x.y"]


@pytest.mark.spread
def test_every_function_of_the_walks_is_called(text):
    from figures import reading

    called = reading.names_of(reading.record(reading.classify))
    steps = STEP.findall(text)
    assert len(steps) > 25
    missing = [(file, name) for name, file in steps if name not in called[f"bert4keras/{file}"]]
    assert missing == []


def test_every_file_of_the_page_exists(text):
    for name in re.findall(r"`((?:scripts|tests|bert4keras)/[\w./]+)`", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\]\(([\w./]+)\)", text):
        assert (PAGE.parent / name).exists(), name


@pytest.fixture
def registries():
    """Undo what the page registers after the test."""
    from bert4keras import registry, tasks

    known = dict(tasks.TASKS), dict(registry.FAMILIES), dict(registry.TABLES)
    yield
    for registered, before in zip(
        (tasks.TASKS, registry.FAMILIES, registry.TABLES), known, strict=True
    ):
        for name in set(registered) - set(before):
            del registered[name]


@pytest.mark.spread
def test_the_code_runs(tmp_path, monkeypatch, registries):
    monkeypatch.chdir(tmp_path)
    names, outputs = run_page(PAGE)
    assert len(outputs) == 3
    for printed, promised in outputs:
        assert printed == promised
    ids = np.array([[2, 5, 6, 7, 8, 3]])
    other = np.array([[2, 5, 9, 7, 8, 3]])
    before, after = (names["strided"].predict([x, 0 * x], verbose=0) for x in (ids, other))
    moved = np.abs(after - before).max(axis=(0, 2)) > 1e-6
    assert moved.tolist() == [True, False, True, False, True, False]
    assert np.isfinite(names["scaled"].predict([ids, 0 * ids], verbose=0)).all()
    for model in names["blocks"]:
        assert_cache_changes_nothing(model)


def assert_cache_changes_nothing(model):
    """Tokens chosen with keys and values of earlier ones are those of the whole sequence."""
    from bert4keras.generation import generate

    rng = np.random.default_rng(0)
    for weight in model.weights:  # small random ones would repeat one token
        weight.assign(weight + rng.normal(size=weight.shape, scale=0.3))
    row = [2, 5, 6, 7]
    (found,) = generate(model, [row], 4).best
    for token in found:
        ids = np.array([row])
        assert model.predict([ids, 0 * ids], verbose=0)[0, -1].argmax() == token
        row.append(int(token))


def test_the_page_is_short(text):
    assert len(text.splitlines()) < 290
    assert Path(PAGE.with_suffix(".svg")).stat().st_size < 20_000

"""Making of the site: links to files, the reference from docstrings, and what is an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("griffe", reason="the extra docs is not installed")
pytest.importorskip("build_docs", reason="the scripts are not part of this tree")

import griffe

import build_docs
from documentation import doctests, pages, reference

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [
    pytest.mark.spread,
    pytest.mark.skipif(not (ROOT / "bert4keras").is_dir(), reason="the package has no source here"),
]


@pytest.fixture(scope="module")
def package():
    return reference.load_package()


@pytest.fixture(scope="module")
def modules(package):
    return {module.path: module for module in reference.public_modules(package)}


def test_links_to_files_lead_to_their_pages():
    text = (
        "[a](../../examples/task_ner_crf.py#L1) [b](tokenizers.md) [c](https://a.org) [d](none.md)"
    )
    code = "```python\nx[0](../../setup.py)\n```\n"
    found = pages.rewrite_links(f"{text}\n{code}", "docs/guides/tagger.md", "guides/tagger.md")
    assert found == (
        "[a](../source/examples/task_ner_crf.py.md#L1) [b](tokenizers.md) [c](https://a.org)"
        f" [d](none.md)\n{code}"
    )
    again = pages.rewrite_links("[a](README.md) [b](LICENSE)", "CHANGELOG.md", "changelog.md")
    assert again == "[a](index.md) [b](source/LICENSE.md)"


def test_files_that_are_linked_to_have_a_page():
    found = pages.pages_of_repository()
    assert {"index.md", "changelog.md", "examples/index.md"} <= set(found)
    assert "````python" in found["source/examples/task_novelty.py.md"]
    assert "source/examples/task_nl2sql.py.md" not in found  # no page links to it


def test_the_reference_has_every_name_once(modules):
    import bert4keras
    from bert4keras import generation, layers, tasks
    from bert4keras._old_names import old_names

    old = set(old_names("layers")) - set(vars(layers))
    for module in (bert4keras, generation, layers, tasks):
        page = modules[module.__name__]
        # Old names, which `import *` gives too, are described where they are defined.
        names = set(module.__all__) - (old if module is layers else set())
        assert sorted([*page.own, *page.elsewhere]) == sorted(names)
    assert modules["bert4keras"].own == []
    assert modules["bert4keras.tasks"].elsewhere["Tagger"] == "bert4keras.tasks.tagging.Tagger"
    assert "Tagger" in modules["bert4keras.tasks.tagging"].own
    # The old import path does not take a name away from its package.
    moved = modules["bert4keras.backend"].elsewhere["multilabel_categorical_crossentropy"]
    assert moved == "bert4keras.losses.multilabel_categorical_crossentropy"
    assert modules["bert4keras.tasks.tagging"].own[-1] == "SCHEMES"  # constants are last
    every = [name for module in modules.values() for name in module.own]
    assert len(every) > 400


def test_public_names_have_docstrings(package, modules):
    assert reference.problems(package, list(modules.values())) == []


BAD = '''"""A module."""
__all__ = ["Base", "Other", "value", "given"]
value = 1
class Base:
    """A class.

    Args:
        size, depth: known, and not.
    """
    def __init__(self, size): ...
    def run(self): """Run."""
    def call(self): ...
class Other(Base):
    """Another."""
    def run(self): ...
    def stop(self): ...
def given(*args, **options):
    """Do.

    Args:
        anything: of an inner function.
    """
'''


def test_missing_docstrings_and_unknown_parameters_are_found():
    with griffe.temporary_visited_package("made", {"bad.py": BAD}) as found:
        module = reference.Module("made.bad", "", ["Base", "Other", "value", "given"])
        assert reference.problems(found, [module]) == [
            "made.bad.Base describes depth, which is no parameter",
            "made.bad.Other.stop has no docstring",
            "made.bad.value has no docstring",
        ]


def test_a_page_of_the_reference():
    module = reference.Module(
        "bert4keras.models", "", ["BERT", "Backbone"], {"x": "bert4keras.y.x"}
    )
    page = module.markdown()
    assert "::: bert4keras.models\n    options:\n      members: ['Backbone']\n" in page
    assert "::: bert4keras.families.bert.BERT\n" in page
    assert "- [`x`][bert4keras.y.x]" in page
    assert "[`bert4keras.models`](models.md)" in reference.index([module])


def test_examples_of_docstrings_are_code():
    text = "Return it.\n\nExample:\n    >>> f(1)\n    2\n\nMore."
    assert doctests.fence(text) == (
        "Return it.\n\nExample:\n    ```pycon\n    >>> f(1)\n    2\n    ```\n\nMore."
    )


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('<script src="https://a.org/b.js"></script>', 1),
        ("<link rel=stylesheet href=//a.org/b.css>", 1),
        ("<style>@import 'https://a.org/b.css';</style>", 1),
        ("body { background: url(https://a.org/b.png) }", 1),
        ('<a href="https://a.org">a</a> <script src="b.js"></script>', 0),
        ('<link rel="canonical" href="https://a.org/">', 0),
    ],
)
def test_pages_load_nothing_from_elsewhere(text, count):
    assert len(build_docs.external(text, "a.html")) == count


def test_pages_are_finished(tmp_path):
    (tmp_path / "guides").mkdir()
    page = '<html lang="en"><script src="https://unpkg.com/iframe-worker/shim"></script>'
    for name in ("a.html", "guides/a_zh.html"):
        (tmp_path / name).write_text(page, encoding="utf-8")
    (tmp_path / "a.css").write_text("a { background: url(https://a.org/b) }", encoding="utf-8")
    assert build_docs.finish(tmp_path) == [
        "a.css loads from elsewhere: url(https://a.org/b)",
    ]
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == (
        '<html lang="en"><script src="./assets/offline_search.js"></script>'
    )
    assert (tmp_path / "guides/a_zh.html").read_text(encoding="utf-8") == (
        '<html lang="zh-Hans"><script src="../assets/offline_search.js"></script>'
    )


def test_the_navigation_has_every_page():
    config = (ROOT / "scripts" / "documentation" / "mkdocs.yml").read_text(encoding="utf-8")
    assert config.count(build_docs.REFERENCE) == 1
    named = set(re.findall(r"[\w/]+\.md", config.split("\nnav:\n")[1]))
    written = {page for page in pages.pages_of_repository() if not page.startswith("source/")}
    assert written <= named
    assert named - written == {"reference/index.md"}


def test_a_config_without_the_line_of_the_reference_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(build_docs, "REFERENCE", "  - Nothing: here.md\n")
    message = re.escape("mkdocs.yml does not have the line '- Nothing: here.md'")
    with pytest.raises(SystemExit, match=message):
        build_docs.collect(tmp_path / "docs")

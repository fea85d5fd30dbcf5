"""The figures of the code's form do not rise; each rule is also shown text which breaks it.

`python scripts/code_figures.py --list RULE` prints the places.
"""

from __future__ import annotations

import pytest

pytest.importorskip("code_figures", reason="the scripts are not part of this tree")

import code_figures
from figures import names, prose, reading, signatures, sizes
from figures.source import ROOT, Source, notebooks, package

if not (ROOT / "docs").is_dir() or not package():  # an sdist, or its copy without the package
    pytestmark = pytest.mark.skip("the whole working tree is not here")

# The number of places that may break a rule: lower it when there are fewer.
LIMITS = {
    "long-file": 0,
    "long-function": 0,
    "relative-clause": 0,
    "relative-clause-outside": 0,
    "undocumented": 0,
    "dialect": 0,
    "dialect-outside": 0,
    "repeated-name": 5,
    "repeated-private-name": 39,
    "unused-export": 0,
    "undocumented-export": 0,
    "absolute-import": 0,
    "any": 188,
}
MAX_SHARE_OF_ANY = 0.07
# Lines of code, in functions that run: directory -> vectors, and what each task adds to it.
MAX_CORE, MAX_ENCODE, MAX_TASK = 1500, 3000, 1000


@pytest.mark.spread
@pytest.mark.parametrize("rule", code_figures.RULES)
def test_the_figures_do_not_rise(rule):
    places = code_figures.RULES[rule]()
    listed = "\n".join(f"{place.path}:{place.line}: {place.text}" for place in places)
    assert len(places) <= LIMITS[rule], f"{rule}, see CONTRIBUTING.md:\n{listed}"


@pytest.mark.spread
def test_share_of_any():
    assert signatures.share(package()) <= MAX_SHARE_OF_ANY


@pytest.mark.spread
def test_what_one_must_read():
    found = reading.measure_apart()  # here, results of other tests may be in caches
    base = found.pop("encode")
    assert {"bert4keras/config.py", "bert4keras/models/transformer.py"} <= set(base)
    assert "bert4keras/tasks/base.py" not in base
    assert 500 < reading.totals(base)[1] <= MAX_ENCODE
    assert set(found) == {"classify", "tag", "embed"}
    for name, more in found.items():
        assert 100 < reading.totals(more, base)[1] <= MAX_TASK, name
    core = reading.core_lines(package())
    assert len(core) == len(reading.CORE)
    assert sum(core.values()) <= MAX_CORE


def source(text: str, path: str = "bert4keras/layers/a.py") -> Source:
    return Source(path, text)


def test_sizes_are_measured():
    body = "".join(f"    x{i} = 0\n" for i in range(sizes.MAX_FUNCTION))
    (found,) = sizes.long_functions([source(f'def long():\n    """A.\n\n    B.\n    """\n{body}')])
    assert found.text == "long: 61 lines"
    (found,) = sizes.long_files([source("x = 0\n" * (sizes.MAX_FILE + 1))])
    assert found.text == "401 lines"
    assert sizes.long_files([source("x = 0\n" * sizes.MAX_FILE)]) == []


def test_lines_of_code():
    text = '"""A.\n\nB.\n"""\n\nx = [\n    1,  # one\n]\n# Comment\n\n\ndef f():\n    """C."""\n'
    assert source(text).code_lines == {6, 7, 8, 12}


@pytest.mark.parametrize("start", ["What it is", "Whether so", "Where it is", "Which, if any"])
def test_relative_clause_is_found(start):
    (found,) = prose.relative_clauses([source(f'def f():\n    """{start}."""\n')])
    assert found.line == 2
    assert prose.relative_clauses([source('"""Return whether it is."""\n')]) == []


@pytest.mark.parametrize("text", ["these alone", "all but for one", "it shall", "of its own"])
def test_dialect_is_found(text):
    message = f'def f():\n    raise ValueError(f"{text} {{1}}")\n'
    for code in (f'"""So {text}."""\n', f"x = 0  # {text}\n", message):
        assert len(prose.dialect([source(code)])) == 1, code
    assert len(prose.dialect([source(f"# So\n\n{text}\n", "docs/a.md")])) == 1
    assert prose.dialect([source(f'x = "{text}"\n')]) == []  # data
    assert prose.dialect([source('"""Its own, and only less than 3, less than 4."""\n')]) == []


def test_missing_docstring_is_found():
    found = prose.undocumented([source("def f(): ...\n\n\ndef _g(): ...\n")])
    assert [place.text for place in found] == ["module", "f"]


def test_repeated_names_are_found():
    both = [
        source("class Span: ...\n_x = 0\n"),
        source("Span = tuple\n_x = 1\n", "bert4keras/b.py"),
    ]
    (found,) = names.repeated_names(both)
    assert found.text == "Span, also bert4keras/b.py:1"
    (found,) = names.repeated_names(both, private=True)
    assert found.text == "_x, also bert4keras/b.py:2"
    handed_on = [source("def load(): ...\n"), source("load = a.load\n", "bert4keras/b.py")]
    assert names.repeated_names(handed_on) == []


@pytest.mark.parametrize(
    ("user", "text", "unused"),
    [
        ("bert4keras/b.py", "from .a import f\n", False),
        ("tests/test_a.py", 'getattr(a, "f")\n', False),
        ("docs/a.md", "`f` does it.\n", False),
        ("examples/a.ipynb", "# Cells\n\na.f()", False),
        ("bert4keras/__init__.py", '__all__ = ["f"]\nfrom .a import f\n', True),
        ("bert4keras/b.py", '"""Not the same as f."""\n# f\n', True),
    ],
)
def test_unused_export_is_found(user, text, unused):
    defined = source("def f(): ...\n\n\ndef _g(): ...\n\n\n@register\nclass C: ...\n")
    found = names.unused_exports([defined], [source(text, user)])
    assert [place.text for place in found] == ["f"] * unused


@pytest.mark.parametrize(
    ("reader", "text", "undocumented"),
    [
        ("docs/a.md", "Call `layers.f(x)`.\n", False),
        ("docs/a.md", "```python\nf(x)\n```\n", False),
        ("docs/a.md", "Prose about f and `g`, and f again.\n", True),
        ("examples/a.py", "from bert4keras.layers import f\n", False),
        ("examples/a.ipynb", "f(x)", False),
        ("scripts/a.py", "# f\n", True),
    ],
)
def test_undocumented_export_is_found(reader, text, undocumented):
    listed = source(
        '__all__ = ["f"]\n__all__.extend(old_names())\n', "bert4keras/layers/__init__.py"
    )
    lazy = source('_NAMES = {"f": "layers"}\n__all__ = sorted(_NAMES)\n', "bert4keras/__init__.py")
    for exporting in (listed, lazy):
        found = names.undocumented_exports([exporting], [source(text, reader)])
        assert [place.text for place in found] == ["f"] * undocumented
    old = source('__all__ = ["f"]\n', "bert4keras/backend.py")
    assert names.undocumented_exports([old], []) == []


def test_notebooks_are_read_without_their_outputs():
    assert all("image/png" not in notebook.text for notebook in notebooks())
    assert any("tasks" in names.mentions(notebook) for notebook in notebooks())


def test_absolute_import_is_found():
    text = "from bert4keras.masks import Mask\nimport bert4keras\nfrom ..masks import LM\n"
    assert [found.line for found in names.absolute_imports([source(text)])] == [1, 2]


def test_share_of_any_is_measured():
    text = "class C:\n    def __init__(self, a: Any, b: int | Any, *, c: dict[str, Any], d): ...\n"
    text += "    def _f(self, x: Any): ...\n\n\ndef f(x: int):\n    def g(y: Any): ...\n"
    assert signatures.share([source(text)]) == 0.5
    (a, b) = signatures.untyped([source(text)])
    assert (a.text, b.text) == ("C.__init__(a: Any)", "C.__init__(b: int | Any)")


def test_functions_that_run_are_recorded():
    from bert4keras.data import sequence_padding

    called = reading.record(lambda: sequence_padding([[1], [1, 2]]))
    lines = reading.read_lines(called)
    assert "bert4keras/data/padding.py" in lines
    part, whole = lines["bert4keras/data/padding.py"]
    assert 0 < part < whole

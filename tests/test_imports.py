"""Rules of imports: direction of dependencies, relative inside the package, backends; file sizes.

The rules are read off the source with `ast`; each rule is also shown code which breaks it.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import pytest

from figures.imports import imports, part_of
from figures.sizes import MAX_FILE, MAX_FUNCTION, file_lines, function_lines
from figures.source import Source

PACKAGE = Path(importlib.util.find_spec("bert4keras").origin).parent
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
CHECKPOINT = Path(__file__).resolve().parent / "fixtures" / "bert_gelu"
SOURCES = sorted(PACKAGE.rglob("*.py"))
BACKENDS = ("tensorflow", "jax", "torch")
ENGINES = ("ray", "pyspark", "pandas", "pyarrow")  # seconds of an import, and extras
MAX_EXAMPLE = 150  # lines

# A part with a rank may import its own modules and those of a lower rank, nothing of the others.
RANKS = {"config": 0, "masks": 1, "positions": 1, "layers": 2, "models": 3}
RANKS |= {"families": 4, "generation": 5, "training": 6, "latent": 7, "export": 7, "tasks": 8}
RANKS |= {"serving": 9, "batch_inference": 9, "pretraining": 9, "cli": 10}
# What a part may not import although the ranks do not forbid it.
MODEL_CODE = {*RANKS, "checkpoints", "losses", "optimizers"}
FORBIDDEN = {
    **{part: MODEL_CODE - {part} for part in ("display", "tokenizers", "data", "text")},
    "tokenizers": MODEL_CODE - {"tokenizers", "checkpoints"},  # which find a directory on a hub
    **{part: {"checkpoints"} for part in ("config", "masks", "positions", "layers")},
    "checkpoints": set(RANKS) - {"config"},
    "optimizers": MODEL_CODE - {"optimizers", "config"} | {"data", "display"},
    "registry": MODEL_CODE - {"families"} | {"tokenizers"},
}
LEGACY = "legacy"  # names of 0.11; `_old_names` looks them up by their text
FACADES = ("backend", "snippets")  # the old import paths, which the core itself never uses


def import_offences(source: str, module: str, is_package: bool = False) -> list[str]:
    """Name what module `module` with the text `source` imports against the rules."""
    found = []
    part = part_of(module)
    for line, name, at_import, is_relative in imports(ast.parse(source), module, is_package):
        root, target = name.split(".")[0], part_of(name)
        if module == "bert4keras.families":  # so that looking a name up imports one family
            found.append(f"{module}:{line} imports {name}; it is only a list")
        if root in (*BACKENDS, *ENGINES) and at_import:
            found.append(f"{module}:{line} imports {root} at module top")
        if name.startswith("keras.src") and part != "_compat":
            found.append(f"{module}:{line} imports the private {name}")
        if root == "bert4keras" and not is_relative:
            found.append(f"{module}:{line} imports {name} by its full name")
        if root != "bert4keras" or target == part or module == "bert4keras":
            continue
        if target == LEGACY:
            found.append(f"{module}:{line} imports {name}, which only old scripts ask for")
        if target in FACADES and part not in (*FACADES, LEGACY):
            found.append(f"{module}:{line} imports the facade {target}")
        above = part in RANKS and RANKS.get(target, -1) >= RANKS[part]
        if above or target in FORBIDDEN.get(part, ()):
            found.append(f"{module}:{line} imports {target}, which {part} must not know")
    return found


def private_names(sources: Iterable[str]) -> set[str]:
    """Names of the private attributes of other objects that sources read, `sys` aside."""
    return {
        name
        for source in sources
        for owner, name, _ in private_reads(ast.parse(source))
        if owner not in ("self", "sys")
    }


def private_reads(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Yield (object, name, line) of each `object._name` and `getattr(object, "_name")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner, name = node.value, node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr"):
            owner, name = node.args[0], getattr(node.args[1], "value", "")
        else:
            continue
        if isinstance(name, str) and re.match("_[^_]", name):
            yield ast.unparse(owner), name, node.lineno


def defined_names(source: str) -> set[str]:
    """All names that a module defines or assigns, as variable, attribute, function or class."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(getattr(node, "ctx", None), ast.Store):
            found.add(getattr(node, "id", None) or getattr(node, "attr", ""))
    return found


OURS = [p.read_text(encoding="utf-8") for p in SOURCES if "_compat" not in p.parts]
COMPAT = [p.read_text(encoding="utf-8") for p in SOURCES if "_compat" in p.parts]
# Private attributes of Keras that `_compat` wraps, and those that can only be our own.
NAMED_TUPLE = {"_replace", "_asdict", "_fields"}  # public, as the standard library says
KERAS_PRIVATE = private_names(COMPAT) - NAMED_TUPLE
OWN = set().union(*map(defined_names, OURS)) | NAMED_TUPLE


def private_offences(source: str, module: str) -> list[str]:
    """Name each private attribute that `source` reads and that is none of the package's own."""
    if part_of(module) == "_compat":
        return []
    return [
        f"{module}:{line} reads {owner}.{name}, which is not ours: wrap it in _compat"
        for owner, name, line in private_reads(ast.parse(source))
        if owner != "sys" and (name in KERAS_PRIVATE or name not in OWN)
    ]


def size_offences(source: str, name: str, max_lines: int = MAX_FILE) -> list[str]:
    """Name the file, and each function in it, that is too long."""
    text = Source(name, source)
    found = [
        f"{name}:{line} {function} has {lines} lines"
        for line, function, lines in function_lines(text)
        if lines > MAX_FUNCTION
    ]
    if (lines := file_lines(text)) > max_lines:
        found.append(f"{name} has {lines} lines, over {max_lines}")
    return found


@pytest.mark.spread
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_structure(path):
    dotted = ".".join(["bert4keras", *path.relative_to(PACKAGE).with_suffix("").parts])
    is_package = path.name == "__init__.py"
    source = path.read_text(encoding="utf-8")
    module = dotted.removesuffix(".__init__")
    offences = import_offences(source, module, is_package) + private_offences(source, module)
    assert offences + size_offences(source, dotted) == []


# What changes settings of the whole process, which are those of the user's program. The command
# line is such a program. A worker's process is that of its engine, which says how many threads.
PROGRAMS = ("cli", "batch_inference/threads.py")
SETTINGS = (
    r"np\.seterr\b|setrecursionlimit|setlocale|basicConfig|(?:simplefilter|filterwarnings)\(|"
    r"rcParams\S* *=[^=]|os\.environ\S* *=[^=]|putenv|keras\.config\.(?:set|enable|disable)_|"
    r"set_(?:random_seed|floatx|global_policy|dtype_policy)\(|jax\.config\.update|tf\.config\.\w*set_|torch\.set_(?!rng)"
)

# Filters of warnings that are put back.
RESTORED = r"with warnings\.catch_warnings\(\):\n +warnings\.simplefilter\(.*\)"


@pytest.mark.spread
@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if not f"{path.relative_to(PACKAGE)}".startswith(PROGRAMS)],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_settings_of_the_process_stay(path):
    text = re.sub(RESTORED, "", path.read_text(encoding="utf-8"))
    assert re.findall(f".*(?:{SETTINGS}).*", text) == []


@pytest.mark.spread
@pytest.mark.parametrize(
    "line", ['matplotlib.rcParams["a"] = 1', 'os.environ["A"] = "1"', "np.seterr(all='raise')"]
)
def test_such_settings_are_noticed(line):
    assert re.search(SETTINGS, line)
    assert re.sub(RESTORED, "", line) == line


def test_sources_found():
    assert len(SOURCES) > 10


@pytest.mark.spread
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_example_length(path):
    script = path.name.startswith(("basic_", "task_"))  # the others are what scripts share
    limit = MAX_EXAMPLE if script else MAX_FILE
    assert size_offences(path.read_text(encoding="utf-8"), path.name, limit) == []


@pytest.mark.spread
@pytest.mark.parametrize(
    ("module", "source", "offence"),
    [
        ("bert4keras.layers.attention", "from ..models import bert", "imports models"),
        ("bert4keras.layers.attention", "from .. import models", "imports models"),
        ("bert4keras.layers.attention", "from ..tasks.tagging import A", "imports tasks"),
        ("bert4keras.layers.attention", "import bert4keras.masks", "masks by its full name"),
        ("bert4keras.layers", "def f():\n  from bert4keras import masks", "by its full name"),
        ("bert4keras.masks", "from .positions import Position", "imports positions"),
        ("bert4keras.families.bert", "from ..training import Evaluator", "imports training"),
        ("bert4keras.families.bert", "def f():\n  from ..tasks import tagging", "imports tasks"),
        ("bert4keras.models.build", "from ..families.bert import BERT", "imports families"),
        ("bert4keras.checkpoints.table", "from ..families.bert import TABLES", "imports families"),
        ("bert4keras.tokenizers.classes", "from ..families import bert", "imports families"),
        ("bert4keras.registry", "from .models import Backbone", "imports models"),
        ("bert4keras.generation.loop", "from ..tasks import sql", "imports tasks"),
        ("bert4keras.checkpoints.transfer", "from ..layers import attention", "imports layers"),
        ("bert4keras.layers.embeddings", "from .. import checkpoints", "imports checkpoints"),
        ("bert4keras.data.padding", "from ..config import X", "imports config"),
        ("bert4keras.tokenizers.wordpiece", "from ..layers import X", "imports layers"),
        ("bert4keras.display", "from .losses import X", "imports losses"),
        ("bert4keras.optimizers.lamb", "from ..training import X", "imports training"),
        ("bert4keras.families.bert", "from ..backend import keras", "imports the facade backend"),
        (
            "bert4keras.layers.pooling",
            "def f():\n  from ..legacy.loss import A",
            "only old scripts",
        ),
        ("bert4keras.snippets", "from .legacy import viterbi", "which only old scripts ask for"),
        ("bert4keras.layers.attention", "import tensorflow as tf", "tensorflow at module top"),
        ("bert4keras.data.padding", "try:\n  import jax.numpy\nexcept X: pass", "jax at module"),
        ("bert4keras.snippets", "class A:\n  from torch import nn", "torch at module top"),
        ("bert4keras.batch_inference.spark", "import pyspark.sql", "pyspark at module top"),
        ("bert4keras.batch_inference.spark", "from ..layers import A\nimport ray", "ray at module"),
        ("bert4keras.batch_inference.spark", "from ..cli import main", "imports cli"),
        ("bert4keras.tasks.base", "from ..batch_inference import A", "imports batch_inference"),
        ("bert4keras.masks", "from keras.src import backend", "private keras.src.backend"),
        ("bert4keras.masks", "def f():\n  import keras.src.ops", "private keras.src.ops"),
    ],
)
def test_offending_import_is_found(module, source, offence):
    (found,) = import_offences(source, module)
    assert offence in found


@pytest.mark.spread
@pytest.mark.parametrize(
    ("module", "source", "is_package"),
    [
        ("bert4keras.layers", "from .attention import A", True),
        ("bert4keras.layers.attention", "from ..masks import Mask\nimport keras", False),
        ("bert4keras.families.bert", "from ..checkpoints import load", False),
        ("bert4keras.families.bert", "from ..models.transformer import Transformer", False),
        ("bert4keras.tokenizers.classes", "from ..registry import TOKENIZERS", False),
        ("bert4keras.registry", "from .families import MODULES", False),
        ("bert4keras.training.gradients", "def f():\n  import tensorflow", False),
        ("bert4keras.training", "if TYPE_CHECKING:\n  import tensorflow", True),
        ("bert4keras.checkpoints.readers", "from ..config import X", False),
        ("bert4keras._compat", "from keras.src import backend", False),
        ("bert4keras", "from .models import Backbone", True),
        ("bert4keras.snippets", "from .models import Backbone", False),
        ("bert4keras.legacy.loss", "from ..tasks.tagging import A\nfrom ..backend import K", False),
    ],
)
def test_proper_import_passes(module, source, is_package):
    assert import_offences(source, module, is_package) == []


def test_the_core_runs_without_the_old_names():
    """The table of these names is text: looking at it imports nothing."""
    code = "import sys\nfrom bert4keras._old_names import OLD_NAMES\nassert len(OLD_NAMES) == 6\n"
    code = f"sys = __import__('sys'); sys.argv = ['bert4keras']\n{code}"
    code += "print(*[name for name in sys.modules if name.startswith(('bert4keras', 'keras'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["bert4keras", "bert4keras._old_names"]


def test_the_list_of_families_imports_nothing():
    (found,) = import_offences("from . import bert", "bert4keras.families", is_package=True)
    assert "it is only a list" in found


def test_compat_wraps_private_attributes_of_keras():
    assert {"_flatten_layers", "_nodes_by_depth", "_track_variable", "_layout"} <= KERAS_PRIVATE


@pytest.mark.spread
@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("layers = model._flatten_layers()", "model._flatten_layers"),
        ("def build(self):\n  self._track_variable(x)", "self._track_variable"),
        ("x = getattr(variable, '_layout', None)", "variable._layout"),
        ("model._initial_epoch = 3", "model._initial_epoch"),
        ("mean = model._loss_tracker.result()", "model._loss_tracker"),  # not even in _compat
    ],
)
def test_private_attribute_of_keras_is_found(source, name):
    (found,) = private_offences(source, "bert4keras.training.step")
    assert f"reads {name}, which is not ours" in found
    assert private_offences(source, "bert4keras._compat.graph") == []


@pytest.mark.spread
@pytest.mark.parametrize(
    "line", ["self._state.swapped", "span._replace(start=1)", "sys._getframe(1)"]
)
def test_private_attribute_of_ours_passes(line):
    assert private_offences(line, "bert4keras.training.step") == []


@pytest.mark.spread
def test_excessive_size_is_found():
    body = "".join(f"    x{i} = 0\n" for i in range(MAX_FUNCTION))
    (found,) = size_offences(f"def long():\n{body}", "a")
    assert "long has 61 lines" in found
    (found,) = size_offences("x = 0\n" * (MAX_FILE + 1), "a")
    assert "has 401 lines" in found
    assert size_offences("x = 0\n" * MAX_FILE, "a") == []


BLOCKED_IMPORT = """
import importlib.machinery, os, sys
checkpoint, allowed, *blocked = sys.argv[1:]
class Blocked:  # it is found, as others look for it, and the import statement raises
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)
    def exec_module(self, module):
        pass
sys.meta_path.insert(0, Blocked())
os.environ["KERAS_BACKEND"] = allowed
import bert4keras
import numpy as np, keras
for name in bert4keras.__all__:
    getattr(bert4keras, name)
families = lambda: sorted(name for name in sys.modules if name.startswith("bert4keras.families."))
assert families() == [], families()
model = bert4keras.build_transformer_model(checkpoint)
assert families() == ["bert4keras.families.bert"], families()
ids = np.array([[2, 5, 6, 3]], "int32")
outputs = np.asarray(keras.ops.convert_to_numpy(model([ids, ids * 0])))
assert outputs.shape[:2] == (1, 4) and np.isfinite(outputs).all(), outputs
print(keras.backend.backend(), *sorted(name for name in blocked if sys.modules.get(name)))
"""


def test_runs_without_the_other_backends():
    allowed = keras.backend.backend()
    blocked = [name for name in BACKENDS if name != allowed]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BLOCKED_IMPORT, str(CHECKPOINT), allowed, *blocked],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [allowed]

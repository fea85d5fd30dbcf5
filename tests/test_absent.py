"""Missing names of 0.11 have a hint, and every hint names something that exists."""

from __future__ import annotations

import importlib
import inspect
import pydoc
import re

import keras
import pytest

import bert4keras
from bert4keras import generation
from bert4keras._absent import ABSENT
from bert4keras._old_names import OLD_NAMES

pytestmark = pytest.mark.spread

MODULES = sorted(ABSENT)
NAMES = [(module, name) for module in MODULES for name in ABSENT[module]]


def resolve(dotted: str):
    """Return the object of a dotted name: modules first, then attributes."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise AssertionError(dotted)


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_missing_name_says_the_way_out(module, name):
    with pytest.raises(ImportError) as caught:
        exec(f"from bert4keras.{module} import {name}")
    message = str(caught.value)
    assert message.startswith(f"bert4keras.{module}.{name} is not part of this version: ")
    for dotted in re.findall(r"\b(?:bert4keras|keras)(?:\.\w+)+", message.split(": ", 1)[1]):
        assert resolve(dotted) is not None, dotted
    if where := re.search(r"it is in bert4keras\.(snippets)\.$", message):
        place = importlib.import_module(f"bert4keras.{where[1]}")
        assert hasattr(place, name)


@pytest.mark.parametrize("name", [f for hints in ABSENT["models"].values() for f in [hints]])
def test_families_that_are_named_exist(name):
    for family in re.findall(r'model="([\w.]+)"', name):
        assert family in importlib.import_module("bert4keras.models").FAMILIES


@pytest.mark.parametrize("module", MODULES)
def test_no_name_is_listed_that_is_there(module):
    """A name that is added again must lose its hint."""
    package = importlib.import_module(f"bert4keras.{module}")
    assert not set(ABSENT[module]) & {*vars(package), *package.__all__}
    assert not hasattr(package, "nonsense")
    assert not hasattr(package, "Nonsense")
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec(f"from bert4keras.{module} import nonsense")


@pytest.mark.parametrize(
    ("module", "name", "place"),
    [
        ("layers", "Dense", "layers"),
        ("models", "Model", "models"),
        ("models", "Dropout", "layers"),
        ("optimizers", "SGD", "optimizers"),
    ],
)
def test_names_of_keras_are_there(module, name, place):
    """The modules of 0.11 had them by `import *`."""
    found = getattr(importlib.import_module(f"bert4keras.{module}"), name)
    assert found is getattr(getattr(keras, place), name)


@pytest.mark.parametrize("module", MODULES)
def test_old_names_are_there(module):
    package = importlib.import_module(f"bert4keras.{module}")
    assert not set(OLD_NAMES[module]) & {*vars(package), *ABSENT[module]}
    for name in OLD_NAMES[module]:
        getattr(package, name)


def test_names_of_the_package_itself():
    with pytest.raises(ImportError, match=r"bert4keras\.T5_Base .*build_transformer_model"):
        exec("from bert4keras import T5_Base")
    assert not hasattr(bert4keras, "nonsense")


def test_heads_have_the_behaviour_of_the_import_path():
    from bert4keras import legacy
    from bert4keras.layers import ConditionalRandomField, GlobalPointer
    from bert4keras.tasks import tagging

    for head in (ConditionalRandomField, GlobalPointer):
        assert head.__module__.startswith(legacy.__name__)
        assert issubclass(head, getattr(tagging, head.__name__))


def test_import_of_everything():
    """`import *` gives the layers of Keras too, and those that are redefined here instead."""
    names: dict = {}
    exec("from bert4keras.layers import *", names)
    assert names["Dense"] is keras.layers.Dense
    assert names["K"] is importlib.import_module("bert4keras.backend").K
    assert names["MultiHeadAttention"] is not keras.layers.MultiHeadAttention
    assert {"Loss", "TokenEmbedding", "keras", "Lambda"} <= set(names)
    assert "nonsense" not in names


@pytest.mark.parametrize("name", ["generate", "stream"])
def test_help_names_every_option(name):
    function = getattr(generation, name)
    parameters = inspect.signature(function).parameters
    assert not [p for p in parameters.values() if p.kind == p.VAR_KEYWORD]
    text = pydoc.plain(pydoc.render_doc(generation.generate))
    options = "processors segment_ids new_segment_id min_ends inputs decoder_prompts".split()
    for option in ["max_new_tokens", "end_id", "strategy", *options]:
        assert option in parameters
        assert re.search(rf"^ +{option}: \S", text, re.M), option


# Of Keras: its layers and methods pass what they do not know on, and Keras' documentation lists it.
OF_KERAS = {"kwargs", "args"}


def public_functions():
    for module in sorted(
        {*MODULES, "checkpoints", "data", "generation", "tasks.tagging", "tasks.sql"}
    ):
        package = importlib.import_module(f"bert4keras.{module}")
        for name in package.__all__:
            found = getattr(package, name)
            if not getattr(found, "__module__", "").startswith("bert4keras"):
                continue
            if inspect.isfunction(found):
                yield f"{module}.{name}", found
            elif inspect.isclass(found):
                for key, method in vars(found).items():
                    method = getattr(method, "__func__", method)
                    if inspect.isfunction(method) and not key.startswith("_"):
                        yield f"{module}.{name}.{key}", method


def test_options_of_any_name_are_documented():
    """A bare `**options` does not tell what can be passed."""
    silent = []
    for name, function in public_functions():
        text = inspect.getdoc(function) or ""
        for parameter in inspect.signature(function).parameters.values():
            any_name = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            if any_name and parameter.name not in OF_KERAS and parameter.name not in text:
                silent.append(f"{name}: {parameter}")
    assert silent == []

"""Every public name of bert4keras 0.11.5 works, or raises an error that says what to use."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import keras
import pytest

from bert4keras._absent import ABSENT
from bert4keras._old_names import OF_KERAS, OLD_MODULES

pytestmark = pytest.mark.spread

FIXTURE = Path(__file__).resolve().parent.parent / "fixtures" / "ancestor" / "names.json"
NAMES = json.loads(FIXTURE.read_text(encoding="utf-8"))  # by scripts/fixtures/ancestor.py
GONE = {(module, name) for module in NAMES for name in NAMES[module] if name in ABSENT[module]}


def problem(module: str, name: str) -> str | None:
    """Return what is wrong with a name of 0.11; None if it works or its error has a hint."""
    package = importlib.import_module(f"bert4keras.{module}")
    try:
        found = getattr(package, name)
    except ImportError as error:
        if name == "tf":  # it is TensorFlow itself
            return None
        return None if "is not part of this version: " in str(error) else str(error)
    except AttributeError as error:
        return str(error)
    redefined = any(
        hasattr(getattr(keras, place), name) and found is getattr(getattr(keras, place), name)
        for place in OF_KERAS.get(module, ())
    )
    if redefined and name in OUR_OWN:
        return f"{module}.{name} is the class of Keras"
    return None


# Layers that 0.11 defined and Keras has too.
OUR_OWN = {
    "Embedding",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "LayerNormalization",
    "MultiHeadAttention",
}


@pytest.mark.parametrize("module", sorted(NAMES))
def test_every_name_works_or_has_a_hint(module):
    assert len(NAMES[module]) > 10
    problems = [problem(module, name) for name in NAMES[module]]
    assert [text for text in problems if text] == []


def test_few_names_are_gone():
    own = {name for _, name in GONE} - set(OLD_MODULES)
    assert len(own) < 60
    assert ("layers", "Loss") not in GONE
    assert problem("layers", "Nonsense") == "module 'bert4keras.layers' has no attribute 'Nonsense'"


def test_a_redefined_layer_is_not_that_of_keras(monkeypatch):
    layers = importlib.import_module("bert4keras.layers")
    monkeypatch.setattr(layers, "Embedding", keras.layers.Embedding, raising=False)
    assert problem("layers", "Embedding") == "layers.Embedding is the class of Keras"

"""Names of bert4keras 0.11 that work under their old import path, and the modules that hold them.

Everything here is text: a name is imported when a script first asks for it, so the package itself
never imports `legacy`. Names that are gone are in `_absent`, with what replaces them.
"""

from __future__ import annotations

import importlib
from typing import Any

_HELPERS = "K keras is_tf_keras align sequence_masking apply_rotary_position_embeddings".split()
_HELPERS += "attention_normalize batch_gather divisible_temporal_padding flatten pool1d".split()
_HELPERS += "reshape search_layer sinusoidal_embeddings".split()
_OLD_HEADS = {
    "ConditionalRandomField": "legacy.chains",
    "EfficientGlobalPointer": "legacy.pointers",
    "GlobalPointer": "legacy.pointers",
    "MaximumEntropyMarkovModel": "legacy.chains",
}
_OLD_SEQUENCES = "BatchConcat BatchSplit Concatenate1D Embedding GlobalAveragePooling1D".split()
_OLD_SEQUENCES += ["GlobalMaxPooling1D"]
_OLD_LAYERS = {
    **dict.fromkeys(_HELPERS, "backend"),
    **_OLD_HEADS,
    **dict.fromkeys(_OLD_SEQUENCES, "legacy.sequences"),
    "LayerNormalization": "legacy.norms",
    "Loss": "legacy.loss",
    "ScaleOffset": "legacy.norms",
}

# Modules with classes that saved models may refer to.
LEGACY_CLASSES = tuple(f"legacy.{name}" for name in "chains loss norms pointers sequences".split())

# For each import path the old names and the module that holds each, in this package. A name that
# differs there follows after a colon.
OLD_NAMES: dict[str, dict[str, str]] = {
    "backend": {"set_gelu": "legacy.gelu"},
    "layers": _OLD_LAYERS,
    "models": {**_OLD_LAYERS},
    "optimizers": dict.fromkeys(["K", "keras", "is_tf_keras", "piecewise_linear"], "backend"),
    "snippets": {
        **dict.fromkeys(["K", "keras"], "backend"),
        "ViterbiDecoder": "legacy.viterbi",
        "uniout": "legacy.python2",
    },
    "tokenizers": {},
}
# The modules of 0.11 also had the names of these Keras modules, by `import *`.
OF_KERAS = {"layers": ("layers",), "models": ("layers", "models"), "optimizers": ("optimizers",)}


def find_old(part: str, name: str) -> tuple[Any, ...]:
    """Return a tuple with what 0.11 had under a name; an empty one if it is not there.

    Args:
        part: the import path without the package, such as "layers".
        name: the name.
    """
    if place := OLD_NAMES.get(part, {}).get(name):
        module, _, attribute = place.partition(":")
        return (getattr(importlib.import_module(f".{module}", __package__), attribute or name),)
    if name[:1].isupper():
        for place in OF_KERAS.get(part, ()):
            module = importlib.import_module(f"keras.{place}")
            if hasattr(module, name):
                return (getattr(module, name),)
    return ()


def old_names(part: str) -> list[str]:
    """Return what `from bert4keras.<part> import *` gave in 0.11 and has no other place now."""
    of_keras = {
        name
        for place in OF_KERAS.get(part, ())
        for name in vars(importlib.import_module(f"keras.{place}"))
        if name[:1].isupper()
    }
    return sorted({*OLD_NAMES[part], *of_keras})

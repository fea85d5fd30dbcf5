"""Names of bert4keras 0.11 that work under their old import path, and the modules that hold them.

Everything here is text: a name is looked up when a script first asks for it. The package imports
modules of `legacy` only to register their classes with Keras, for models that were saved with
them. Names that are gone are in `_absent`, with what replaces them.
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
_POSITIONS = "RelativePositionEmbedding RelativePositionEmbeddingT5 SinusoidalPositionEmbedding"
_ARGUMENTS = dict.fromkeys(["delete_arguments", "insert_arguments"], "legacy.arguments")
_STRINGS = dict.fromkeys(
    ["basestring", "convert_to_str", "convert_to_unicode", "is_py2", "uniout"], "legacy.python2"
)
_OLD_TEXTS = "is_string is_one_of lowercase_and_normalize open string_matching".split()
_OLD_TEXTS += ["truncate_sequences", "orthogonally_resize"]
_TEXT_NAMES = dict.fromkeys(_OLD_TEXTS, "snippets")
_EXTENSIONS = """exponential_moving_average gradient_accumulation layer_adaptation lazy_optimization
    lookahead parameter_wise_lr piecewise_linear_lr weight_decay""".split()
_OLD_OPTIMIZERS = {
    **dict.fromkeys(["K", "keras", "is_tf_keras", "piecewise_linear"], "backend"),
    **dict.fromkeys(
        ["AdaFactor", "AdaFactorBase", "AdaFactorV1", "AdaFactorV2"], "legacy.adafactor:AdaFactor"
    ),
    **{f"extend_with_{name}": "legacy.optimizers" for name in _EXTENSIONS},
    **{f"extend_with_{name}_v2": f"legacy.optimizers:extend_with_{name}" for name in _EXTENSIONS},
    **dict.fromkeys(["Lion", "LionV2"], "legacy.lion:Lion"),
    **_ARGUMENTS,
    **_TEXT_NAMES,
    "rms": "backend:root_mean_square",
}
_SHARED = "FeedForward GatedAttentionUnit MultiHeadAttention PositionEmbedding".split()
_OLD_LAYERS = {
    **dict.fromkeys(_POSITIONS.split(), "legacy.positions"),
    **dict.fromkeys(_HELPERS, "backend"),
    **_OLD_HEADS,
    "recompute_grad": "legacy.recompute",
    **dict.fromkeys(_OLD_SEQUENCES, "legacy.sequences"),
    "LayerNormalization": "legacy.norms",
    "Loss": "legacy.loss",
    "ScaleOffset": "legacy.norms",
}

_OLD_MODELS = """ALBERT ALBERT_Unshared BERT ELECTRA GAU_alpha GPT GPT2 GPT2_ML LM_Mask NEZHA
    RoFormer RoFormerV2 T5 T5_Decoder T5_Encoder UniLM_Mask extend_with_language_model
    extend_with_unified_language_model""".split()

# Modules with classes that saved models may refer to.
_FILES = "adafactor chains decoder lion loss norms optimizers pointers positions sequences".split()
LEGACY_CLASSES = tuple(f"legacy.{name}" for name in [*_FILES, "stages"])

# For each import path the old names and the module that holds each, in this package. A name that
# differs there follows after a colon.
OLD_NAMES: dict[str, dict[str, str]] = {
    "backend": {"recompute_grad": "legacy.recompute", "set_gelu": "legacy.gelu"},
    "layers": _OLD_LAYERS,
    "models": {
        **_OLD_LAYERS,
        **dict.fromkeys(_OLD_MODELS, "legacy.models"),
        **dict.fromkeys(_SHARED, "layers"),
        **_ARGUMENTS,
        **_TEXT_NAMES,
    },
    "optimizers": _OLD_OPTIMIZERS,
    "snippets": {
        **dict.fromkeys(["K", "keras"], "backend"),
        "ViterbiDecoder": "legacy.viterbi",
        "DataGenerator": "legacy.datasets",
        "WebServing": "legacy.web",
        "defaultdict": "legacy.python2",
        **_ARGUMENTS,
        **_STRINGS,
    },
    "tokenizers": {**_STRINGS, **_TEXT_NAMES},
}
# Modules that each import path of 0.11 had imported for itself.
OLD_MODULES = {name: name for name in "json logging os re sys unicodedata".split()}
OLD_MODULES |= {"np": "numpy", "tf": "tensorflow"}
OLD_MODULES |= {name: f"keras.{name}" for name in ("activations", "initializers")}
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
        if module.startswith("legacy."):  # an old script, which may call methods that are gone
            importlib.import_module("._compat", __package__).note_removed_names()
        return (getattr(importlib.import_module(f".{module}", __package__), attribute or name),)
    if part in OLD_NAMES and name in OLD_MODULES:
        return (importlib.import_module(OLD_MODULES[name]),)
    for place in OF_KERAS.get(part, ()) if name[:1] != "_" else ():
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
        if name[:1] != "_"
    }
    return sorted({*OLD_NAMES[part], *of_keras, "np", "initializers"})

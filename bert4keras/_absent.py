"""Names of bert4keras 0.11 that no longer exist, by module, each with a hint.

Names that still work are in `_old_names`.

A hint gives the full name of the replacement, so that a test can look it up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ._old_names import find_old

_STRINGS = "Python 3 has one kind of string: decode bytes with data.decode('utf-8')"
_ARGUMENTS = "write the arguments into __init__ and pass the others on with **kwargs"
_SNIPPETS = "it is in bert4keras.snippets"
_FAMILY = 'pass its name: bert4keras.models.build_transformer_model(..., model="{}")'
_BIASES = (
    "positions are a strategy of the family, such as bert4keras.positions.Learned; "
    "bert4keras.models.build_transformer_model builds the layers"
)
_MASK = (
    'pass application="lm" or "unilm" to bert4keras.models.build_transformer_model, or combine the '
    "masks of bert4keras.masks"
)
_DEVICES = "for several devices use keras.distribution.DataParallel"
_ADAFACTOR = "keras.optimizers.Adafactor"
_EXTENSIONS = """exponential_moving_average gradient_accumulation layer_adaptation lazy_optimization
    lookahead parameter_wise_lr piecewise_linear_lr weight_decay""".split()
_TEXTS = "is_string is_one_of open lowercase_and_normalize truncate_sequences".split()

ABSENT: dict[str, dict[str, str]] = {
    "backend": {
        "custom_objects": "the layers are registered with Keras, so load_model finds them",
        "do_recompute": "pass it to a model: build_transformer_model(..., remat=True)",
        "get_available_gpus": (
            'ask the backend: tf.config.list_physical_devices("GPU"), jax.devices()'
        ),
        "graph_mode_decorator": "use keras.remat",
        "infinity": "bert4keras.backend.sequence_masking has the number of the dtype",
        "recompute_grad": (
            "use keras.remat(function) or `with keras.RematScope():` around the building"
        ),
        "set_infinity": "bert4keras.backend.sequence_masking has the number of the dtype",
        "symbolic": "every function is compiled by fit, evaluate and predict",
        "tf": "import tensorflow, or use keras.ops",
    },
    "layers": {
        "RelativePositionEmbedding": _BIASES,
        "RelativePositionEmbeddingT5": _BIASES,
        "SinusoidalPositionEmbedding": (
            "bert4keras.backend.sinusoidal_embeddings gives the vectors of positions"
        ),
        "integerize_shape": "shapes are integers in Keras 3, so it can be left out",
        "recompute_grad": "use keras.remat(function)",
    },
    "models": {
        "ALBERT": _FAMILY.format("albert"),
        "ALBERT_Unshared": _FAMILY.format("albert_unshared"),
        "ELECTRA": _FAMILY.format("electra"),
        "GAU_alpha": _FAMILY.format("gau_alpha"),
        "GPT": _FAMILY.format("gpt"),
        "GPT2": _FAMILY.format("gpt2"),
        "GPT2_ML": _FAMILY.format("gpt2_ml"),
        "LM_Mask": _MASK,
        "NEZHA": _FAMILY.format("nezha"),
        "RoFormer": _FAMILY.format("roformer"),
        "RoFormerV2": _FAMILY.format("roformer_v2"),
        "T5": _FAMILY.format("t5.1.1"),
        "T5_Base": _FAMILY.format("t5.1.1"),
        "T5_Decoder": _FAMILY.format("t5.1.1_decoder"),
        "T5_Encoder": _FAMILY.format("t5.1.1_encoder"),
        "UniLM_Mask": _MASK,
        "data_parallel": _DEVICES,
        "extend_with_language_model": _MASK,
        "extend_with_unified_language_model": _MASK,
        "recompute_grad": "use keras.remat(function)",
    },
    "optimizers": {
        "AdaFactor": _ADAFACTOR,
        "AdaFactorBase": _ADAFACTOR,
        "AdaFactorV1": _ADAFACTOR,
        "AdaFactorV2": _ADAFACTOR,
        "LionV1": "keras.optimizers.Lion",
        "LionV2": "keras.optimizers.Lion",
        **{
            f"extend_with_{name}_v2": f"one for all: bert4keras.optimizers.extend_with_{name}"
            for name in _EXTENSIONS
        },
        **dict.fromkeys(["is_string", "is_one_of"], _SNIPPETS),
        "insert_arguments": _ARGUMENTS,
    },
    "snippets": {
        "WebServing": "call model.predict in a handler of any web framework",
        "convert_to_str": _STRINGS,
        "convert_to_unicode": _STRINGS,
        "delete_arguments": _ARGUMENTS,
        "insert_arguments": _ARGUMENTS,
        "is_py2": "only Python 3 is supported",
    },
    "tokenizers": {
        "BasicTokenizer": "bert4keras.tokenizers.TokenizerBase",
        "convert_to_str": _STRINGS,
        "convert_to_unicode": _STRINGS,
        "is_py2": "only Python 3 is supported",
        **dict.fromkeys(_TEXTS, _SNIPPETS),
    },
}


def old_name(module: str, name: str) -> Any:
    """Return what 0.11 had under a name of a module; the end of its `__getattr__`.

    Args:
        module: `__name__` of the module, such as "bert4keras.layers".
        name: the name, which the module itself does not have.

    Raises:
        ImportError, AttributeError: as `refuse`.
    """
    _, _, part = module.partition(".")
    for found in find_old(part, name):
        return found
    return refuse(module, name)


def refuse(module: str, name: str) -> NoReturn:
    """Raise the error for a name that a module does not have.

    Args:
        module: `__name__` of the module, such as "bert4keras.layers"; for "bert4keras" itself the
            names of all modules are looked up.
        name: the missing name.

    Raises:
        ImportError: with a hint, if 0.11 had the name. An AttributeError would lose
            the hint: `from module import name` replaces its message.
        AttributeError: any other name.
    """
    _, _, part = module.partition(".")
    if hint := _hint(part, name):
        raise ImportError(f"{module}.{name} is not part of this version: {hint}.")
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


def absent(module: str) -> Callable[[str], Any]:
    """Return a `__getattr__` for a module that resolves no names itself; see `old_name`."""

    def __getattr__(name: str) -> Any:
        return old_name(module, name)

    return __getattr__


def _hint(part: str, name: str) -> str | None:
    if not part:
        return next((hints[name] for hints in ABSENT.values() if name in hints), None)
    return ABSENT.get(part, {}).get(name)

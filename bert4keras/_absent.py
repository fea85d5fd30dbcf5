"""Names of bert4keras 0.11 that no longer exist, by module, each with a hint.

Names that still work are in `_old_names`.

A hint gives the full name of the replacement, so that a test can look it up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ._old_names import find_old

_FAMILY = 'pass its name: bert4keras.models.build_transformer_model(..., model="{}")'
_DEVICES = "for several devices use keras.distribution.DataParallel"
_GPUS = 'ask the backend: tf.config.list_physical_devices("GPU"), jax.devices()'
_REGISTERED = "the classes are registered with Keras, so load_model finds them"
_SHAPES = "shapes are integers in Keras 3, so it can be left out"
_SIX = "only Python 3 is supported, so it is not needed"
_TENSORFLOW = "import it from tensorflow.python"
_NO_LAYER = "Keras 3 has no such layer"
_NOT_IN_KERAS = """AbstractRNNCell DenseFeatures LocallyConnected1D LocallyConnected2D RandomHeight
    RandomWidth experimental""".split()
_GONE = {
    **dict.fromkeys(_NOT_IN_KERAS, _NO_LAYER),
    "ThresholdedReLU": "use keras.layers.ReLU(threshold=...)",
}

ABSENT: dict[str, dict[str, str]] = {
    "backend": {
        "custom_objects": _REGISTERED,
        "do_recompute": "pass it to a model: build_transformer_model(..., remat=True)",
        "get_available_gpus": _GPUS,
        "graph_mode_decorator": "use keras.remat",
        "infinity": "bert4keras.backend.sequence_masking has the number of the dtype",
        "set_infinity": "bert4keras.backend.sequence_masking has the number of the dtype",
        "strtobool": "compare the text: os.environ.get(name) == '1'",
        **dict.fromkeys(["device_lib", "nest", "tape", "tf_inspect"], _TENSORFLOW),
        "symbolic": "every function is compiled by fit, evaluate and predict",
    },
    "layers": {
        "custom_objects": _REGISTERED,
        "integerize_shape": _SHAPES,
        **_GONE,
    },
    "models": {
        **_GONE,
        "T5_Base": _FAMILY.format("t5.1.1"),
        "custom_objects": _REGISTERED,
        "data_parallel": _DEVICES,
        "get_available_gpus": _GPUS,
        "integerize_shape": _SHAPES,
    },
    "optimizers": {
        "custom_objects": _REGISTERED,
        "export_to_custom_objects": _REGISTERED,
    },
    "snippets": {"six": _SIX},
    "tokenizers": {
        "BasicTokenizer": "bert4keras.tokenizers.TokenizerBase",
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

"""BERT-family models on Keras 3, with tokenizers, checkpoints, training techniques and tasks."""

from __future__ import annotations

import importlib
import os
import sys

__version__ = "1.0.0"

_EXPORTS = {
    "TransformerConfig": "config",
    "build_transformer_model": "models",
    "register_model": "models",
    "Backbone": "models",
    "Transformer": "models",
    "Tokenizer": "tokenizers",
    "SpTokenizer": "tokenizers",
    "load_vocab": "tokenizers",
    "DataGenerator": "data",
    "sequence_padding": "data",
    "load": "checkpoints",
    "save": "checkpoints",
    "save_model": "saving",
    "save_weights": "saving",
    "Evaluator": "training",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str):
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    from ._absent import refuse

    return refuse(__name__, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def register_classes(with_keras: bool = True) -> None:
    """Register all classes with Keras, which `keras.models.load_model` needs.

    Importing the package does it, except in the process of the command line.

    Args:
        with_keras: False imports no Keras, even if it is installed; then only exported tasks run.
    """
    from ._stand_in import keras_or_stand_in

    with keras_or_stand_in(with_keras) as stands_in:
        from . import families, layers, losses, models, optimizers, tasks, training  # noqa: F401
        from ._old_names import LEGACY_CLASSES

        for name in () if stands_in else LEGACY_CLASSES:
            importlib.import_module(f"{__name__}.{name}")
        for name in families.MODULES if stands_in else ():  # of which tokenizers are told by files
            importlib.import_module(f"{__name__}.families.{name}")


def _is_command_line() -> bool:
    """Tell whether this process is the command `bert4keras`, or `python -m bert4keras`.

    There the import would take seconds before a line of help; commands that need models call
    `register_classes` themselves.
    """
    program, *rest = sys.argv or [""]
    if program == "-m":  # the module is still being looked for; its name is before its arguments
        return sys.orig_argv[-1 - len(rest)].removeprefix("-m") == __name__
    return os.path.splitext(os.path.basename(program))[0] == __name__


if not _is_command_line():
    register_classes()

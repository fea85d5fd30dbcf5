"""BERT-family models on Keras 3, with tokenizers, checkpoints, training techniques and tasks."""

from __future__ import annotations

import importlib

# Imported for their registrations with Keras, which `keras.models.load_model` needs.
from . import layers, losses, models, optimizers, tasks, training  # noqa: F401

__version__ = "1.0.0.dev0"

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

"""A tiny model and inputs for it."""

from __future__ import annotations

import numpy as np

from bert4keras.config import TransformerConfig
from bert4keras.models import build_transformer_model

SIZES = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position": 16,
    # Large enough that two tokens, and two positions, are far apart.
    "initializer_range": 0.5,
}


def config(**changes) -> TransformerConfig:
    """A config of a few hundred weights."""
    return TransformerConfig(**{**SIZES, **changes})


def build(config_changes: dict | None = None, **options):
    """A tiny model with random weights, biases and norms included."""
    model = build_transformer_model(config(**(config_changes or {})), **options)
    keras_model = model if options.get("return_keras_model", True) else model.model
    rng = np.random.default_rng(7)
    for weight in keras_model.trainable_weights:
        noise = rng.normal(scale=0.1, size=weight.shape).astype("float32")
        weight.assign_add(noise)
    return model


def inputs(batch: int = 3, length: int = 9, padding: int = 3) -> list[np.ndarray]:
    """Token ids and segment ids (batch, length); row i ends in up to `padding` zeros."""
    rng = np.random.default_rng(3)
    token_ids = rng.integers(1, SIZES["vocab_size"], (batch, length)).astype("int32")
    segment_ids = np.zeros((batch, length), "int32")
    for row in range(batch):
        end = length - min(padding, row)
        token_ids[row, end:] = 0
        segment_ids[row, end // 2 : end] = 1
    return [token_ids, segment_ids]

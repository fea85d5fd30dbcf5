"""keras-hub on the backend of KERAS_BACKEND."""

from __future__ import annotations

import keras
import keras_hub
import numpy as np

from benchmarks import inputs
from benchmarks.sides.keras_common import encode_case, train_case


def versions() -> dict[str, str]:
    return {"keras-hub": keras_hub.__version__, "keras": keras.__version__}


def sizes() -> dict:
    """Sizes of MiniLM under keras-hub's names."""
    config = inputs.MINILM_CONFIG
    return {
        "vocabulary_size": config["vocab_size"],
        "num_layers": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "hidden_dim": config["hidden_size"],
        "intermediate_dim": config["intermediate_size"],
        "dropout": config["hidden_dropout_prob"],
        "max_sequence_length": config["max_position_embeddings"],
    }


def backbone():
    return keras_hub.models.BertBackbone(**sizes())


def features(data: dict) -> dict:
    return {
        "token_ids": data["token_ids"],
        "segment_ids": data["segment_ids"],
        "padding_mask": data["mask"],
    }


def encode(options: dict):
    return encode_case(backbone(), features(inputs.batch()))


def train(options: dict):
    model = keras_hub.models.BertTextClassifier(backbone(), num_classes=2, preprocessor=None)
    model.compile(
        optimizer=keras.optimizers.AdamW(inputs.LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    data = inputs.batch(options["steps"])
    return train_case(model, features(data), data["labels"], options["steps"])


def generate(options: dict):
    """GPT-2 of the same sizes, compiled, greedy."""
    gpt2 = keras_hub.models.GPT2Backbone(**sizes())
    model = keras_hub.models.GPT2CausalLM(gpt2, preprocessor=None)
    model.compile(sampler="greedy")
    prompts = inputs.prompts()
    tokens = np.zeros((len(prompts), inputs.PROMPT + inputs.NEW_TOKENS), "int32")
    tokens[:, : inputs.PROMPT] = prompts
    mask = np.arange(tokens.shape[1])[None] < inputs.PROMPT
    mask = np.broadcast_to(mask, tokens.shape).astype("int32")

    def run() -> None:
        model.generate({"token_ids": tokens, "padding_mask": mask}, stop_token_ids=None)

    return run, 1


CASES = {"encode": encode, "train": train, "generate": generate}

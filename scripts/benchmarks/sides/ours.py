"""This project on the backend of KERAS_BACKEND."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import keras
import numpy as np

from benchmarks import inputs
from benchmarks.sides import generation, labelling, pretraining, techniques
from benchmarks.sides.keras_common import encode_case, train_case
from bert4keras import DataGenerator, Tokenizer, build_transformer_model
from bert4keras.tasks import SentenceEncoder


def versions() -> dict[str, str]:
    backend = keras.backend.backend()
    names = {"keras": keras.__version__, backend: __import__(backend).__version__}
    return {**names, "tokenizers": __import__("tokenizers").__version__}


def untrained():
    """Build the model from a json that holds only the sizes."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(inputs.MINILM_CONFIG, file)
    try:
        return build_transformer_model(file.name)
    finally:
        os.unlink(file.name)


def classifier():
    bert = untrained()
    probabilities = keras.layers.Dense(2, activation="softmax")(bert.output[:, 0])
    model = keras.Model(bert.input, probabilities)
    model.compile(
        optimizer=keras.optimizers.AdamW(inputs.LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
    )
    return model


def encode(options: dict):
    model = build_transformer_model(options["checkpoint"])
    data = inputs.batch()
    return encode_case(model, [data["token_ids"], data["segment_ids"]])


def train(options: dict):
    data = inputs.batch(options["steps"])
    features = (data["token_ids"], data["segment_ids"])
    return train_case(classifier(), features, data["labels"], options["steps"])


def epoch(options: dict):
    tokenizer = Tokenizer.from_pretrained(options["checkpoint"])
    texts, labels = inputs.read_samples(options["samples"])
    rows = [
        (tokenizer.encode(text, maxlen=inputs.EPOCH_MAXLEN), label)
        for text, label in zip(texts, labels, strict=True)
    ]
    generator = DataGenerator(
        rows,
        inputs.EPOCH_BATCH,
        encode=lambda row: row,  # encoded beforehand, since only the batching is compared
        shuffle=True,
        seed=7,
        **options.get("generator", {}),
    )
    model = classifier()

    def run() -> None:
        model.fit(generator, epochs=1, verbose=0)

    return run, 1


def tokenize(options: dict):
    tokenizer = Tokenizer.from_pretrained(options["checkpoint"])
    texts, _ = inputs.read_samples(options["samples"])

    def run() -> float:
        encoded = tokenizer.encode_batch(texts, return_offsets=True)
        return sum(map(sum, encoded[0]))

    return run, len(texts)


def tokenize_serial(options: dict):
    """``tokenize`` on one thread; the library reads the variable at every call."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    return tokenize(options)


def sentences(options: dict):
    """Vectors of sentences of any length, sorted into batches by length."""
    encoder = SentenceEncoder.build(options["checkpoint"], pooling="mean")
    texts, _ = inputs.read_samples(options["samples"])

    def run() -> float:
        vectors = encoder.predict(texts, progress=False)
        return float(np.abs(vectors).mean())

    return run, len(texts)


def load(options: dict):
    def run() -> None:
        keras.backend.clear_session()
        build_transformer_model(options["checkpoint"])

    return run, 1


def load_floor(options: dict):
    """The least that loading must do: read the bytes of the file and build the model."""
    checkpoint = Path(options["checkpoint"])

    def run() -> None:
        keras.backend.clear_session()
        (checkpoint / "model.safetensors").read_bytes()
        build_transformer_model(str(checkpoint / "config.json"))

    return run, 1


CASES = {
    "encode": encode,
    "train": train,
    "epoch": epoch,
    "tokenize": tokenize,
    "tokenize_serial": tokenize_serial,
    "sentences": sentences,
    "load": load,
    "load_floor": load_floor,
    **generation.CASES,
    **labelling.CASES,
    **pretraining.CASES,
    **techniques.cases(classifier),
}

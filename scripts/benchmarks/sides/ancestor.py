"""bert4keras 0.11.5 on tf-keras, used as its own examples use it."""

from __future__ import annotations

import json
import os
import tempfile

import numpy as np
import tensorflow as tf

from benchmarks import inputs
from benchmarks.sides.keras_common import encode_case, train_case
from bert4keras.backend import keras
from bert4keras.layers import ConditionalRandomField
from bert4keras.models import build_transformer_model
from bert4keras.snippets import (
    AutoRegressiveDecoder,
    DataGenerator,
    ViterbiDecoder,
    sequence_padding,
)
from bert4keras.tokenizers import Tokenizer


def versions() -> dict[str, str]:
    return {"bert4keras (ancestor)": "0.11.5", "tensorflow": tf.__version__}


def backbone():
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(inputs.MINILM_CONFIG, file)
    try:
        return build_transformer_model(file.name)
    finally:
        os.unlink(file.name)


def classifier():
    bert = backbone()
    first = keras.layers.Lambda(lambda x: x[:, 0])(bert.output)
    model = keras.models.Model(bert.input, keras.layers.Dense(2, activation="softmax")(first))
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.Adam(inputs.LEARNING_RATE),
    )
    return model


def encode(options: dict):
    data = inputs.batch()
    return encode_case(backbone(), [data["token_ids"], data["segment_ids"]])


def train(options: dict):
    data = inputs.batch(options["steps"])
    features = [data["token_ids"], data["segment_ids"]]
    return train_case(classifier(), features, data["labels"], options["steps"])


class RandomOrder(DataGenerator):
    """Batches in random order, padded to their longest row."""

    def __iter__(self, random=False):
        rows = []
        for is_end, row in self.sample(random):
            rows.append(row)
            if len(rows) == self.batch_size or is_end:
                tokens, segments, labels = zip(*rows, strict=True)
                yield [sequence_padding(tokens), sequence_padding(segments)], np.array(labels)
                rows = []


def epoch(options: dict):
    tokenizer = Tokenizer(options["vocabulary"], do_lower_case=True)
    texts, labels = inputs.read_samples(options["samples"])
    data = [
        (*tokenizer.encode(text, maxlen=inputs.EPOCH_MAXLEN), label)
        for text, label in zip(texts, labels, strict=True)
    ]
    generator = RandomOrder(data, inputs.EPOCH_BATCH)
    model = classifier()

    def run() -> None:
        model.fit(generator.forfit(), steps_per_epoch=len(generator), epochs=1, verbose=0)

    return run, 1


def tokenize(options: dict):
    tokenizer = Tokenizer(options["vocabulary"], do_lower_case=True)
    texts, _ = inputs.read_samples(options["samples"])

    def run() -> float:
        total = 0
        for text in texts:
            tokens = tokenizer.tokenize(text)
            total += sum(tokenizer.tokens_to_ids(tokens))
            tokenizer.rematch(text, tokens)
        return total

    return run, len(texts)


def generate(options: dict):
    """The loop of its examples: one prompt after the other, read from the start at each step."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(inputs.MINILM_CONFIG, file)
    try:
        model = build_transformer_model(file.name, application="lm")
    finally:
        os.unlink(file.name)

    class Writer(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps(default_rtype="probas")
        def predict(self, prompt, output_ids, states):
            ids = np.concatenate([prompt[0], output_ids], 1)
            return self.last_token(model).predict([ids, np.zeros_like(ids)], verbose=0)

    writer = Writer(start_id=None, end_id=-1, maxlen=inputs.NEW_TOKENS)

    def run() -> None:
        for prompt in inputs.prompts():
            writer.beam_search([prompt], topk=1)

    return run, 1


def crf_loss(options: dict):
    data, steps = inputs.labelling(), options["steps"]
    crf, labels = ConditionalRandomField(), tf.constant(data["labels"])
    crf.build(data["emissions"].shape)
    crf.set_weights([data["transitions"]])
    emissions = tf.constant(data["emissions"])

    @tf.function
    def step(emissions):
        with tf.GradientTape() as tape:
            tape.watch(emissions)
            loss = tf.reduce_mean(crf.sparse_loss(labels, emissions))
        return loss, tape.gradient(loss, [emissions, *crf.trainable_weights])

    def run() -> float:
        for _ in range(steps):
            loss, _ = step(emissions)
        return float(loss)

    return run, steps


def crf_train(options: dict):
    steps = options["steps"] * inputs.HEAD_STEPS
    data, crf = inputs.labelling(steps), ConditionalRandomField()
    features = keras.layers.Input(data["features"].shape[1:])
    model = keras.models.Model(features, crf(keras.layers.Dense(inputs.LABELS)(features)))
    model.compile(keras.optimizers.Adam(inputs.LEARNING_RATE), loss=crf.sparse_loss)
    return train_case(model, data["features"], data["labels"], steps, inputs.LABELLED_BATCH)


def crf_decode(options: dict):
    data, steps = inputs.labelling(), options["steps"]
    decoder = ViterbiDecoder(data["transitions"])

    def run() -> float:
        for _ in range(steps):
            rows = [decoder.decode(row) for row in data["emissions"]]
        return sum(int(row.sum()) for row in rows)

    return run, steps


CASES = {
    "encode": encode,
    "train": train,
    "epoch": epoch,
    "tokenize": tokenize,
    "generate": generate,
    "crf_loss": crf_loss,
    "crf_train": crf_train,
    "crf_decode": crf_decode,
    "crf_viterbi": crf_decode,
}

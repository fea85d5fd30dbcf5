"""This project's cases of sequence labelling, on the backend of KERAS_BACKEND."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from benchmarks import inputs
from benchmarks.sides.keras_common import train_case
from bert4keras.tasks.tagging import ConditionalRandomField, MaximumEntropyMarkovModel

BACKEND = keras.backend.backend()


def field(data: dict) -> ConditionalRandomField:
    """Return a conditional random field with the transitions that all sides have."""
    head = ConditionalRandomField()
    head.build(data["emissions"].shape)
    head.set_weights([data["transitions"]])
    return head


def differentiated(head, labels: np.ndarray, emissions: np.ndarray):
    """Compile a function without arguments: mean loss, gradients by emissions and weights."""
    labels, emissions = ops.convert_to_tensor(labels), ops.convert_to_tensor(emissions)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        weights = [variable.value for variable in head.trainable_variables]

        @tf.function
        def step(emissions):
            with tf.GradientTape() as tape:
                tape.watch(emissions)
                loss = ops.mean(head.loss(labels, emissions))
            return loss, tape.gradient(loss, [emissions, *weights])

        return lambda: step(emissions)
    if BACKEND == "jax":
        import jax

        def mean(emissions, weights):
            mapping = list(zip(head.trainable_variables, weights, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return ops.mean(head.loss(labels, emissions))

        step = jax.jit(jax.value_and_grad(mean, argnums=(0, 1)))
        weights = [variable.value for variable in head.trainable_variables]
        return lambda: jax.block_until_ready(step(emissions, weights))
    emissions.requires_grad_(True)

    def step():
        loss = ops.mean(head.loss(labels, emissions))
        loss.backward()
        return loss, [emissions.grad]

    return step


def crf_loss(options: dict):
    data = inputs.labelling()
    step, steps = differentiated(field(data), data["labels"], data["emissions"]), options["steps"]

    def run() -> float:
        for _ in range(steps):
            loss, _ = step()
        return float(loss)

    return run, steps


def head_case(head, loss, steps: int):
    """Prepare a step of `fit` of a `Dense` and the head on top."""
    steps *= inputs.HEAD_STEPS
    data = inputs.labelling(steps)
    features = keras.Input(data["features"].shape[1:])
    model = keras.Model(features, head(keras.layers.Dense(inputs.LABELS)(features)))
    model.compile(keras.optimizers.Adam(inputs.LEARNING_RATE), loss=loss)
    return train_case(model, data["features"], data["labels"], steps, inputs.LABELLED_BATCH)


def crf_train(options: dict):
    head = ConditionalRandomField()
    return head_case(head, head.loss, options["steps"])


def crf_decode(options: dict):
    """Decode in numpy."""
    data, steps = inputs.labelling(), options["steps"]
    head = field(data)

    def run() -> float:
        for _ in range(steps):
            rows = head.decode(data["emissions"])
        return sum(int(row.sum()) for row in rows)

    return run, steps


def crf_viterbi(options: dict):
    """Decode in the graph."""
    data, steps = inputs.labelling(), options["steps"]
    emissions, decode = ops.convert_to_tensor(data["emissions"]), field(data).viterbi
    if BACKEND == "tensorflow":
        import tensorflow as tf

        decode = tf.function(decode)
    elif BACKEND == "jax":
        import jax

        decode = jax.jit(decode)

    def run() -> float:
        for _ in range(steps):
            labels = ops.convert_to_numpy(decode(emissions))
        return int(labels.sum())

    return run, steps


def memm_head(options: dict):
    head = MaximumEntropyMarkovModel()
    return head_case(head, head.loss, options["steps"])


def softmax_head(options: dict):
    head = keras.layers.Activation("linear", dtype="float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return head_case(head, loss, options["steps"])


def model_case(head, loss, steps: int):
    """Prepare a step of `fit` of a model of MiniLM's size, a `Dense` and the head on top."""
    from benchmarks.sides.ours import untrained

    bert = untrained()
    model = keras.Model(bert.input, head(keras.layers.Dense(inputs.LABELS)(bert.output)))
    model.compile(keras.optimizers.AdamW(inputs.LEARNING_RATE), loss=loss)
    data = inputs.batch(steps)
    labels = np.random.default_rng(5).integers(0, inputs.LABELS, data["token_ids"].shape)
    return train_case(model, (data["token_ids"], data["segment_ids"]), labels, steps)


def memm_model(options: dict):
    head = MaximumEntropyMarkovModel()
    return model_case(head, head.loss, options["steps"])


def softmax_model(options: dict):
    head = keras.layers.Activation("linear", dtype="float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return model_case(head, loss, options["steps"])


CASES = {
    "crf_loss": crf_loss,
    "crf_train": crf_train,
    "crf_decode": crf_decode,
    "crf_viterbi": crf_viterbi,
    "memm_head": memm_head,
    "memm_model": memm_model,
    "softmax_head": softmax_head,
    "softmax_model": softmax_model,
}

"""Code shared by the sides that train with Keras' ``compile`` and ``fit``."""

from __future__ import annotations

import os

import numpy as np

from benchmarks import inputs


def encode_case(model, features):
    """``predict_on_batch`` of one batch."""

    def run() -> float:
        outputs = model.predict_on_batch(features)
        if isinstance(outputs, dict):
            outputs = outputs["sequence_output"]
        # the first token of every row: the only one that no side treats differently
        return float(np.abs(np.asarray(outputs)[:, 0]).mean())

    return run, 1


def train_case(model, features, labels, steps: int, batch: int = inputs.BATCH):
    """One epoch of ``fit`` over ``steps`` batches; the unit is a step."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        data, options = (untuned_dataset(features, labels, batch),), {}
    else:
        data, options = (features, labels), {"batch_size": batch}

    def run() -> None:
        model.fit(*data, **options, epochs=1, shuffle=False, verbose=0)

    return run, steps


def untuned_dataset(features, labels, batch: int):
    """Return the data of an epoch for TensorFlow.

    From arrays `fit` would make a pipeline that tunes itself 10, 20, 40 ... ms after its start and
    whose end often waits for the next time, so that all epochs between two such times take as long.
    """
    import tensorflow as tf

    features = tuple(features) if isinstance(features, list) else features
    dataset = tf.data.Dataset.from_tensor_slices((features, labels))
    untuned = tf.data.Options()
    untuned.autotune.enabled = False
    return dataset.batch(batch, drop_remainder=True).with_options(untuned)

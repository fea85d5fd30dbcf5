"""What the sides that train with Keras' ``compile`` and ``fit`` share."""

from __future__ import annotations

import numpy as np

from benchmarks import inputs


def encode_case(model, features):
    """``predict_on_batch`` of one batch."""

    def run() -> float:
        outputs = model.predict_on_batch(features)
        if isinstance(outputs, dict):
            outputs = outputs["sequence_output"]
        # the first token of every row: defined alike by all, padding or not
        return float(np.abs(np.asarray(outputs)[:, 0]).mean())

    return run, 1


def train_case(model, features, labels, steps: int, batch: int = inputs.BATCH):
    """One epoch of ``fit`` over ``steps`` batches; the unit is a step."""

    def run() -> None:
        model.fit(features, labels, batch_size=batch, epochs=1, shuffle=False, verbose=0)

    return run, steps

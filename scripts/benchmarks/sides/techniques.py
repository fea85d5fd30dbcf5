"""This project's training techniques, each to be compared with plain training."""

from __future__ import annotations

import keras

from benchmarks import inputs
from benchmarks.sides.keras_common import train_case
from bert4keras.optimizers import (
    EMA,
    ExtendedOptimizer,
    LearningRateMultipliers,
    Lookahead,
    layerwise_decay,
)
from bert4keras.training import FGM, VAT, GradientPenalty, Mixup, RDrop, RegularizedModel

LENGTH = 64  # tokens of a row
REGULARIZERS = {
    "fgm": FGM(),
    "gradient_penalty": GradientPenalty(),
    "vat": VAT(),
    "r_drop": RDrop(),
    "mixup": Mixup(),
}
EXTENSIONS = {
    "lookahead": lambda model: Lookahead(),
    "ema": lambda model: EMA(),
    "layerwise": lambda model: LearningRateMultipliers(layerwise_decay(model)),
}


def cases(classifier) -> dict:
    """Return the cases by name; `classifier` makes a compiled model."""

    def case(name: str):
        def train(options: dict):
            data = inputs.batch(options["steps"])
            model = classifier()
            if name in EXTENSIONS:
                optimizer = ExtendedOptimizer(
                    keras.optimizers.AdamW(inputs.LEARNING_RATE), [EXTENSIONS[name](model)]
                )
                model.compile(optimizer, model.loss)
            elif name in REGULARIZERS:
                loss = model.loss
                model = RegularizedModel(model, [REGULARIZERS[name]])
                model.compile(keras.optimizers.AdamW(inputs.LEARNING_RATE), loss)
            features = tuple(data[key][:, :LENGTH] for key in ("token_ids", "segment_ids"))
            return train_case(model, features, data["labels"], options["steps"])

        return train

    return {f"train_{name}": case(name) for name in ("plain", *REGULARIZERS, *EXTENSIONS)}

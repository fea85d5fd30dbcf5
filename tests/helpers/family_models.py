"""Tiny models of every registered family."""

from __future__ import annotations

import numpy as np
from keras import ops

from bert4keras.models import FAMILIES, build_transformer_model
from helpers import tiny

# One name of each class; encoder-decoders have separate tests.
SINGLE = sorted(
    {
        family.transformer: name
        for name, family in reversed(list(FAMILIES.items()))
        if not name.startswith(("t5", "mt5"))
    }.values()
)


def build(family: str, application="encoder", config: dict | None = None, **options):
    """A tiny model of a family with random weights, and its inputs by name."""
    sizes = {**tiny.SIZES, "embedding_size": 6 if "albert" in family else None, **(config or {})}
    cls = FAMILIES[family].transformer.config_class
    options.setdefault("with_mlm", False)
    model = build_transformer_model(
        cls.from_dict(sizes), model=family, application=application, **options
    )
    rng = np.random.default_rng(7)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(scale=0.1, size=weight.shape).astype("float32"))
    return model


def call(model, x: list[np.ndarray]) -> np.ndarray:
    """Return the outputs of a model, uncompiled: compiling a tiny one takes most of the time."""
    y = model([ops.convert_to_tensor(array) for array in x], training=False)
    return np.array(ops.convert_to_numpy(y))

"""Names that Keras 3 removed from layers and models, and what takes their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import keras

from .._types import Tensor

_REMOVED = {
    "_make_train_function": (
        "a custom training step is now a technique of bert4keras.training.RegularizedModel: FGM, "
        "GradientPenalty or VAT takes the place of the functions adversarial_training and "
        "virtual_adversarial_training of old scripts, see docs/migrating.md"
    ),
    "fit_generator": "fit takes generators",
    "evaluate_generator": "evaluate takes generators",
    "predict_generator": "predict takes generators",
}


def output_at(layer: keras.layers.Layer, node_index: int) -> Tensor:
    """Return the output of one of the calls of a layer; a layer only has that of its only call."""
    outputs = layer._inbound_nodes[node_index].output_tensors
    return outputs[0] if len(outputs) == 1 else outputs


def note_removed_names() -> None:
    """Give Keras' models the methods that Keras 3 removed; they raise what takes their place.

    Called only for scripts that use a name of bert4keras 0.11, or its builder.
    """
    for name, hint in _REMOVED.items():
        if not hasattr(keras.Model, name):
            setattr(keras.Model, name, _removed(name, hint))


def _removed(name: str, hint: str) -> Callable[..., NoReturn]:
    def removed(*args: object, **kwargs: object) -> NoReturn:
        raise AttributeError(f"Model.{name} does not exist on Keras 3: {hint}.")

    return removed

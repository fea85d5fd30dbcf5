"""Loading of `.keras` files, and the state that resuming a training needs."""

from __future__ import annotations

import base64
from typing import Any

import keras
import numpy as np


def remember_loaded(value: Any, identity: int | None) -> None:
    """Register an object under its number in the file that is being loaded.

    Keras does so for objects that it makes by itself, so that two references in a file become one
    object; an object that we make has to be registered by the private function.
    """
    from keras.src.saving import serialization_lib

    serialization_lib.record_object_after_deserialization(value, identity)


def object_loaded_as(identity: int) -> Any:
    """Return the object with this number in the file that is being loaded, or None."""
    from keras.src.saving import serialization_lib

    return serialization_lib.get_shared_object(identity)


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """Return the states of the random generators of a model's layers, such as dropout.

    Keras leaves them out of weight files, and lists them only among all variables.
    """
    return [
        v for v in model.variables if isinstance(v, keras.Variable) and "seed_generator" in v.path
    ]


def generator_states() -> dict[str, list[str]]:
    """Return the states of torch's own generators, by device, from which it draws dropout.

    Keras on torch draws from them in a `Dropout` layer without a seed; the other backends draw
    everything from the states of `seed_states`.
    """
    if keras.backend.backend() != "torch":
        return {}
    import torch

    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    states = {"cpu": [torch.get_rng_state()], "cuda": cuda}
    return {
        device: [base64.b64encode(state.cpu().numpy().tobytes()).decode() for state in found]
        for device, found in states.items()
    }


def restore_generators(states: dict[str, list[str]]) -> None:
    """Set torch's generators to states of `generator_states`, on the devices that exist."""
    if keras.backend.backend() != "torch" or not states:
        return
    import torch

    def state(text: str) -> Any:
        return torch.from_numpy(np.frombuffer(base64.b64decode(text), "uint8").copy())

    torch.set_rng_state(state(states["cpu"][0]))
    for device, text in enumerate(states["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state(text), device)

"""Loading of `.keras` files, and the state that resuming a training needs."""

from __future__ import annotations

from typing import Any

import keras


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

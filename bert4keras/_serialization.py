"""How our objects travel inside a `.keras` file: strategies and layers under one package name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

serializable = keras.saving.register_keras_serializable(package="bert4keras")


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A value object, given to a layer or builder, that decides one aspect of the model.

    Subclasses are frozen dataclasses; fields may themselves be strategies.
    """

    def get_config(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            key: keras.saving.serialize_keras_object(value)
            if isinstance(value, Strategy)
            else value
            for key, value in values.items()
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Strategy:
        return cls(**{key: revive(value) for key, value in config.items()})


def revive(value: Any) -> Any:
    """Turn a serialised strategy back into itself; leave anything else alone."""
    if isinstance(value, Mapping) and "class_name" in value:
        return keras.saving.deserialize_keras_object(dict(value))
    return value

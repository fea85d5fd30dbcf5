"""Atomic saving of Keras models: the old file stays until the new one is complete.

`model.save` of Keras truncates an existing file first. If the process is then killed or the disk is
full, neither the old model nor the new one is left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from ._compat import without_distribution
from ._files import atomic_file


def save_model(model: keras.Model, filepath: str | os.PathLike, overwrite: bool = True) -> None:
    """Write a model with its optimizer to a `.keras` file, atomically.

    Read it with `keras.models.load_model`, after `import bert4keras`.

    Args:
        model: a built Keras model.
        filepath: `*.keras`; missing directories are made.
        overwrite: replace an existing file; False makes it an error.

    Raises:
        ValueError: another file suffix, or a model that could not be loaded again.
        FileExistsError: the file exists and `overwrite` is False.
        OSError: the file could not be written; the old one is intact.
    """
    if not str(filepath).endswith(".keras"):
        raise ValueError(
            f"save_model writes '.keras' files, not {os.fspath(filepath)!r}. To write only the "
            "weights use save_weights(model, '*.weights.h5'); to write a checkpoint for other "
            "libraries use bert4keras.save."
        )
    if not overwrite and os.path.exists(filepath):
        raise FileExistsError(f"{os.fspath(filepath)} exists, and overwrite is False.")
    _check_compiled(model)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        # On loading Keras builds the optimizer and looks for its variables in the file.
        optimizer.build(model.trainable_variables)
    with without_distribution(), atomic_file(filepath) as new:
        keras.saving.save_model(model, new)


def save_weights(model: keras.Model, filepath: str | os.PathLike) -> None:
    """Write the weights of a model to a `.weights.h5` file, atomically.

    Read them with `model.load_weights`.

    Args:
        model: a built Keras model.
        filepath: `*.weights.h5`; missing directories are made.

    Raises:
        ValueError: another file suffix.
        OSError: the file could not be written; the old one is intact.
    """
    if not str(filepath).endswith(".weights.h5"):
        raise ValueError(f"save_weights writes '.weights.h5' files, not {os.fspath(filepath)!r}.")
    with without_distribution(), atomic_file(filepath) as new:
        model.save_weights(new)


class AtomicSave:
    """Mixin of models whose `save` to a `.keras` file is atomic."""

    def save(
        self,
        filepath: str | os.PathLike,
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Save as `keras.Model.save` does; write a `.keras` file with `bert4keras.save_model`."""
        path = str(filepath)
        if path.endswith(".keras") and overwrite and zipped is not False and "://" not in path:
            kwargs.pop("include_optimizer", None)  # which Keras ignores for this format
            if not kwargs:
                save_model(self, filepath)
                return
        super().save(filepath, overwrite, zipped, **kwargs)


def _check_compiled(model: keras.Model) -> None:
    """Refuse a loss or metric that Keras stores as a name which it cannot find on loading."""
    config = model.get_compile_config() if model.compiled else None
    for key, found in _serialized_objects(config, ()):
        if found.get("class_name") == "method":
            raise ValueError(
                f"the model is compiled with {'.'.join(key)}, a method {found['config']!r} that a "
                "file cannot name: keras.models.load_model would fail. Give a function (or a "
                "@staticmethod) registered with keras.saving.register_keras_serializable, a "
                "keras.losses.Loss or a keras.metrics.Metric; the heads of bert4keras can be "
                "stored as they are."
            )


def _serialized_objects(
    config: Any, key: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping]]:
    """Yield (keys that lead to it, config) for every object in a serialised config."""
    if isinstance(config, Mapping):
        if "class_name" in config:
            yield key, config
        for name, value in config.items():
            yield from _serialized_objects(value, (*key, str(name)))
    elif isinstance(config, (list, tuple)):
        for i, value in enumerate(config):
            yield from _serialized_objects(value, (*key, str(i)))

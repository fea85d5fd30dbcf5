"""Save Keras models so that the old file stays until the new one is complete.

`model.save` empties an existing file first: a process that is killed then, or a full disk, leaves
neither the old model nor the new one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from ._files import atomic_file


def save_model(model: keras.Model, filepath: str | os.PathLike, overwrite: bool = True) -> None:
    """Write a model with its optimizer to a `.keras` file, replacing an old one as a whole.

    It is read back by `keras.models.load_model`, after `import bert4keras`.

    Args:
        model: any built Keras model.
        filepath: `*.keras`; directories are made if absent.
        overwrite: False refuses to replace a file.

    Raises:
        ValueError: another kind of file, or a model that could not be read back.
        FileExistsError: there is a file, and `overwrite` is False.
        OSError: the file could not be written; the old one is intact.
    """
    if not str(filepath).endswith(".keras"):
        raise ValueError(
            f"save_model writes '.keras' files, not {os.fspath(filepath)!r}. Weights alone go to "
            "save_weights(model, '*.weights.h5'), the format of other programs is written by "
            "bert4keras.save."
        )
    if not overwrite and os.path.exists(filepath):
        raise FileExistsError(f"{os.fspath(filepath)} exists, and overwrite is False.")
    _check_compiled(model)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        # Keras builds it when the file is read, and then misses its variables there.
        optimizer.build(model.trainable_variables)
    with atomic_file(filepath) as new:
        keras.saving.save_model(model, new)


def save_weights(model: keras.Model, filepath: str | os.PathLike) -> None:
    """Write the weights of a model to a `.weights.h5` file, replacing an old one as a whole.

    They are read back by `model.load_weights`.

    Raises:
        ValueError: another kind of file.
        OSError: the file could not be written; the old one is intact.
    """
    if not str(filepath).endswith(".weights.h5"):
        raise ValueError(f"save_weights writes '.weights.h5' files, not {os.fspath(filepath)!r}.")
    with atomic_file(filepath) as new:
        model.save_weights(new)


class SavedWhole:
    """Mixin of models whose `save` to a `.keras` file replaces the old one as a whole."""

    def save(
        self,
        filepath: Any,
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.save`; a `.keras` file is written as by `bert4keras.save_model`."""
        path = str(filepath)
        if path.endswith(".keras") and overwrite and zipped is not False and "://" not in path:
            kwargs.pop("include_optimizer", None)  # which Keras ignores for this format
            if not kwargs:
                save_model(self, filepath)
                return
        super().save(filepath, overwrite, zipped, **kwargs)


def _check_compiled(model: keras.Model) -> None:
    """Refuse what Keras writes as a name that it cannot look up when the file is read."""
    config = model.get_compile_config() if model.compiled else None
    for key, found in _objects(config, ()):
        if found.get("class_name") == "method":
            raise ValueError(
                f"the model is compiled with {'.'.join(key)}, a method {found['config']!r} that a "
                "file cannot name: keras.models.load_model would fail. Give a function registered "
                "with keras.saving.register_keras_serializable, a keras.losses.Loss or a "
                "keras.metrics.Metric; the heads of bert4keras do by themselves."
            )


def _objects(config: Any, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping]]:
    """All objects in a serialised config, with the keys that lead there."""
    if isinstance(config, Mapping):
        if "class_name" in config:
            yield key, config
        for name, value in config.items():
            yield from _objects(value, (*key, str(name)))
    elif isinstance(config, (list, tuple)):
        for i, value in enumerate(config):
            yield from _objects(value, (*key, str(i)))

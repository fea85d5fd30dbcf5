"""Distribution over devices and processes, of which Keras tells little publicly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import keras

_Structure = TypeVar("_Structure")


def distribution_works() -> bool:
    """Return whether `keras.distribution` distributes anything on this backend.

    On TensorFlow it is a prototype, and on torch, before Keras has a module for it, layouts are
    ignored. Both are silent: a model is trained on one device.
    """
    from keras.src import backend

    name = keras.backend.backend()
    return name == "jax" or (name == "torch" and backend.distribution_lib is not None)


def process_place() -> tuple[int, int]:
    """Return the index of this process and the number of processes of JAX; (0, 1) elsewhere."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


@contextlib.contextmanager
def without_distribution() -> Iterator[None]:
    """Set the distribution in effect aside, for what one process does without the others.

    While Keras saves a model, it makes an optimizer to see what attributes it has; the variables
    of that one would wait for all processes.
    """
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def tensorflow_replicas() -> int:
    """Return the number of replicas of the `tf.distribute` strategy in scope; 1 elsewhere."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def split_over_devices(inputs: _Structure) -> _Structure:
    """Give each device its part of the rows of a batch, where Keras would copy all rows to all.

    `predict_on_batch` does not distribute its inputs. Without a distribution, with several
    processes (whose outputs no process could read), or with rows that cannot be divided equally,
    the inputs are returned as they are.

    Args:
        inputs: structure of arrays (B, ...).
    """
    distribution = keras.distribution.distribution()
    if distribution is None or keras.backend.backend() != "jax" or process_place()[1] > 1:
        return inputs
    replicas = distribution.num_model_replicas
    if any(len(leaf) % replicas for leaf in keras.tree.flatten(inputs)):
        return inputs
    return keras.tree.map_structure(
        lambda x: keras.distribution.distribute_tensor(x, distribution.get_data_layout(x.shape)),
        inputs,
    )

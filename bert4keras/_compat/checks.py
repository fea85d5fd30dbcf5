"""Checks of values that also work inside a compiled function."""

from __future__ import annotations

import functools
import string
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from .._types import Tensor
from .openvino import check_input


def check_at_runtime(
    values: Tensor,
    bad: Callable[[Tensor], Tensor],
    check: Callable[[Any], None],
    message: str,
    limit: int,
) -> Tensor:
    """Return the values, after a check that a compiled function makes when it runs.

    Without it JAX would answer with NaN, OpenVINO with zeros, and TensorFlow would raise an error
    that does not name the input. Three cases go unchecked: a function that JAX traces for export
    (its lengths are symbols), one that TensorFlow compiles by XLA, and ids that OpenVINO computes.
    torch compiles nothing here and raises by itself.

    Args:
        values: int tensor.
        bad: returns which values are wrong, a bool tensor of the same shape.
        check: raises for an array with wrong values (OpenVINO).
        message: template of the error with {id}, {place} and {limit} (TensorFlow, JAX).
        limit: value of {limit}.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        if isinstance(values, jax.core.Tracer) and all(isinstance(n, int) for n in values.shape):
            # Only two numbers are given to the host: on several devices, JAX would first copy all
            # values to the one that calls it.
            place = _raiser(message, limit, values.shape)
            jax.lax.cond(
                bad(values).any(),
                lambda: jax.debug.callback(place, *_first(values, bad(values))),
                lambda: None,
            )
    elif backend == "tensorflow":
        import tensorflow as tf

        if tf.is_tensor(values):
            return _asserted(tf, values, bad(values), message, limit)
    elif backend == "openvino":
        check_input(values, check)
    return values


def _raiser(message: str, limit: int, shape: tuple[int, ...]) -> Callable[[Any, Any], None]:
    """Return a function (wrong value, its place in the flat values) that raises the error."""

    def fail(found: Any, place: Any) -> None:
        index = tuple(int(n) for n in np.unravel_index(int(place), shape))
        raise ValueError(message.format(id=int(found), place=index, limit=limit))

    return fail


def _first(values: Tensor, wrong: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first wrong value and its place in the flat values."""
    place = keras.ops.argmax(keras.ops.cast(keras.ops.reshape(wrong, [-1]), "int32"))
    return keras.ops.reshape(values, [-1])[place], place


def _asserted(tf: Any, values: Tensor, wrong: Tensor, message: str, limit: int) -> Tensor:
    """Return the values of a TensorFlow graph, behind an assertion that none is wrong."""
    index = tf.argmax(tf.cast(tf.reshape(wrong, [-1]), "int32"), output_type="int32")
    # With a zero appended, because an empty batch has no value at index 0.
    found = tf.concat([tf.reshape(values, [-1]), tf.zeros([1], values.dtype)], 0)[index]
    place, rest = [], index
    for size in reversed(tf.unstack(tf.shape(values))):
        place.insert(0, rest % tf.maximum(size, 1))
        rest = rest // tf.maximum(size, 1)
    parts = {"id": found, "place": tf.stack(place), "limit": tf.constant(limit)}
    words = []
    for text, name, _, _ in string.Formatter().parse(message):
        words += [tf.constant(text), *([] if name is None else [parts[name]])]
    check = tf.debugging.Assert(tf.logical_not(tf.reduce_any(wrong)), words)
    if check is None:
        return values
    with tf.control_dependencies([check]):
        return tf.identity(values)


def raise_at_runtime(bad: Tensor, message: str) -> None:
    """Raise a ValueError if a boolean scalar is true, also in a compiled function.

    TensorFlow raises its own error with the message; XLA on TensorFlow cannot raise. Nothing
    is raised where Keras only computes shapes, because it makes the values up.
    """
    from keras.src.backend.common.symbolic_scope import in_symbolic_scope

    if in_symbolic_scope():
        return
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.debugging.Assert(tf.logical_not(bad), [message])
    elif backend == "jax":
        import jax

        if isinstance(bad, jax.core.Tracer):
            check = functools.partial(_raise_if, True, message)
            jax.lax.cond(bad, lambda: jax.debug.callback(check), lambda: None)
        else:
            _raise_if(bad, message)
    else:
        _raise_if(bad, message)


def _raise_if(bad: Tensor | bool, message: str) -> None:
    if bool(bad):
        raise ValueError(message)

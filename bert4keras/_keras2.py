"""The functions of Keras 2's backend under their old names, for `bert4keras.backend.K`.

Only functions that `keras.ops` calls otherwise, or gives other defaults, are defined here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from ._compat import call_is_training

_GRAPH = "Keras 3 passes `training=` to Layer.call instead"
_ABSENT = {
    "ctc_batch_cost": "use keras.ops.ctc_loss",
    "ctc_decode": "use keras.ops.ctc_decode",
    "foldl": "use keras.ops.scan",
    "foldr": "use keras.ops.scan",
    "function": "use keras.Model(inputs, outputs) and call it or its predict",
    "get_session": "Keras 3 has no sessions",
    "gradients": "each backend has its own: tf.GradientTape, jax.grad or tensor.backward()",
    "learning_phase": _GRAPH,
    "placeholder": "use keras.Input(shape, dtype=..., name=...)",
    "rnn": "use keras.layers.RNN or keras.ops.scan",
    "set_learning_phase": _GRAPH,
    "set_session": "Keras 3 has no sessions",
    "tf": "import tensorflow itself, or use keras.ops",
}


class Functions:
    """Namespace that looks up a function here, then in `keras.backend`, then in `keras.ops`.

    Args:
        own: functions that are looked up first.

    Raises:
        AttributeError: an unknown name; the message has the replacement if Keras 2 had the name.
    """

    def __init__(self, **own: Callable):
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Any:
        if name in _ABSENT:
            raise AttributeError(f"K.{name} does not exist on Keras 3: {_ABSENT[name]}.")
        if name in _RENAMED:
            return _RENAMED[name]
        for place in (keras.backend, ops):
            if hasattr(place, name):
                return getattr(place, name)
        raise AttributeError(
            f"K.{name} does not exist; see keras.ops for the functions of Keras 3."
        )

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *_RENAMED, *dir(keras.backend), *dir(ops)})


def _dtype_or_floatx(dtype: str | None) -> str:
    return dtype or keras.backend.floatx()


def _batch_dot(x, y, axes=None):
    if axes is None:
        axes = (len(x.shape) - 1, max(len(y.shape) - 2, 1))
    return keras.layers.Dot(axes)([x, y])


def _batch_flatten(x):
    return ops.reshape(x, (ops.shape(x)[0], math.prod(ops.shape(x)[1:])))


def _batch_set_value(pairs) -> None:
    for variable, value in pairs:
        variable.assign(value)


def _constant(value, dtype=None, shape=None, name=None):
    value = ops.convert_to_tensor(value, _dtype_or_floatx(dtype))
    return value if shape is None else ops.broadcast_to(value, shape)


def _count_params(x) -> int:
    return math.prod(x.shape)


def _get_value(x):
    return ops.convert_to_numpy(ops.convert_to_tensor(x))


def _in_train_phase(x, alt, training=None):
    """Return `x` in the training of a model and `alt` elsewhere; either may be a function."""
    training = call_is_training() if training is None else training
    chosen = x if training else alt
    return chosen() if callable(chosen) else chosen


def _l2_normalize(x, axis=None):
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(squares, 1e-12)))


def _prod(x, axis=None, keepdims=False):
    if isinstance(x, (tuple, list)) and all(isinstance(size, int) for size in x):
        return math.prod(x)  # of a shape: a number, as compiled code needs it
    return ops.prod(x, axis=axis, keepdims=keepdims)


def _random_bernoulli(shape, p=0.0, dtype=None, seed=None):
    return ops.cast(keras.random.uniform(shape, seed=seed) < p, _dtype_or_floatx(dtype))


def _random_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    return keras.random.normal(shape, mean, stddev, dtype, seed)


def _random_uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
    return keras.random.uniform(shape, minval, maxval, dtype, seed)


def _repeat(x, n):
    """Return (B, D) as (B, n, D)."""
    return ops.repeat(x[:, None], n, axis=1)


def _switch(condition, then, otherwise):
    if callable(then) and callable(otherwise):
        return ops.cond(condition, then, otherwise)
    then, otherwise = (f() if callable(f) else f for f in (then, otherwise))
    condition = ops.cast(condition, "bool")
    missing = len(then.shape) - len(condition.shape)
    condition = ops.reshape(condition, (*ops.shape(condition), *[1] * missing))
    return ops.where(condition, then, otherwise)


def _temporal_padding(x, padding=(1, 1)):
    return ops.pad(x, [[0, 0], list(padding), [0, 0]])


def _truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    return keras.random.truncated_normal(shape, mean, stddev, dtype, seed)


_RENAMED: dict[str, Callable] = {
    "arange": lambda start, stop=None, step=1, dtype="int32": ops.arange(start, stop, step, dtype),
    "argmax": lambda x, axis=-1: ops.argmax(x, axis),
    "argmin": lambda x, axis=-1: ops.argmin(x, axis),
    "batch_dot": _batch_dot,
    "batch_flatten": _batch_flatten,
    "batch_get_value": lambda tensors: [_get_value(x) for x in tensors],
    "batch_set_value": _batch_set_value,
    "bias_add": lambda x, bias: x + bias,
    "cast_to_floatx": lambda x: ops.cast(x, keras.backend.floatx()),
    "concatenate": lambda tensors, axis=-1: ops.concatenate(tensors, axis),
    "constant": _constant,
    "count_params": _count_params,
    "cumprod": lambda x, axis=0: ops.cumprod(x, axis),
    "cumsum": lambda x, axis=0: ops.cumsum(x, axis),
    "dropout": lambda x, level, noise_shape=None, seed=None: keras.random.dropout(
        x, level, noise_shape, seed
    ),
    "eval": _get_value,
    "expand_dims": lambda x, axis=-1: ops.expand_dims(x, axis),
    "gather": lambda reference, indices: ops.take(reference, indices, axis=0),
    "get_value": _get_value,
    "identity": lambda x: x,
    "in_test_phase": lambda x, alt, training=None: _in_train_phase(alt, x, training),
    "in_top_k": lambda predictions, targets, k: ops.in_top_k(targets, predictions, k),
    "in_train_phase": _in_train_phase,
    "int_shape": lambda x: tuple(x.shape),
    "l2_normalize": _l2_normalize,
    "map_fn": lambda fn, elems: ops.map(fn, elems),
    "name_scope": keras.name_scope,
    "permute_dimensions": lambda x, pattern: ops.transpose(x, pattern),
    "pow": ops.power,
    "prod": _prod,
    "random_bernoulli": _random_bernoulli,
    "random_binomial": _random_bernoulli,
    "random_normal": _random_normal,
    "random_uniform": _random_uniform,
    "relu": lambda x, alpha=0.0, max_value=None, threshold=0.0: keras.activations.relu(
        x, alpha, max_value, threshold
    ),
    "repeat": _repeat,
    "repeat_elements": lambda x, rep, axis: ops.repeat(x, rep, axis),
    "reverse": lambda x, axes: ops.flip(x, axes),
    "set_value": lambda x, value: x.assign(value),
    "switch": _switch,
    "temporal_padding": _temporal_padding,
    "truncated_normal": _truncated_normal,
    "update": lambda x, new: x.assign(new),
    "update_add": lambda x, increment: x.assign_add(increment),
    "update_sub": lambda x, decrement: x.assign_sub(decrement),
    "variable": lambda value, dtype=None, name=None, constraint=None: keras.Variable(
        value, dtype=_dtype_or_floatx(dtype), name=name
    ),
}

"""Differences between backends in what a layer computes."""

from __future__ import annotations

import functools

import keras
from keras import ops

from .._types import Tensor


def linear(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """Return `x @ kernel + bias`; torch, which compiles nothing, does it in one operation.

    Args:
        x: (..., D).
        kernel: (D, E).
        bias: (E,), or None.
    """
    if keras.backend.backend() == "torch":
        import torch

        kernel, bias = (getattr(weight, "value", weight) for weight in (kernel, bias))
        # Keras multiplies float16 on the CPU in float32.
        if x.dtype == kernel.dtype and (x.dtype != torch.float16 or not x.is_cpu):
            return torch.nn.functional.linear(x, kernel.T, bias)
    x = ops.matmul(x, kernel)
    return x if bias is None else ops.add(x, bias)


@functools.cache
def has_fused_attention() -> bool:
    """Return whether the backend has one operation for attention, as torch and GPUs have.

    `keras.ops.dot_product_attention` exists everywhere; on TensorFlow and on a CPU under JAX it is
    a product of einsums, slower than two of `matmul`.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return not all(device.startswith("cpu") for device in keras.distribution.list_devices())
    return backend != "tensorflow"


def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float
) -> Tensor:
    """Return values weighted by the softmax of scores, (B, T, N, H).

    On torch Keras would copy queries, keys and values first.

    Args:
        query: (B, T, N, K).
        key: (B, S, N, K).
        value: (B, S, N, H).
        bias: broadcastable to (B, N, T, S), of the dtype of the queries, or None.
        scale: factor on the products.
    """
    if keras.backend.backend() != "torch":
        return ops.dot_product_attention(query, key, value, bias=bias, scale=scale)
    import torch

    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    attend = torch.nn.functional.scaled_dot_product_attention
    return attend(query, key, value, attn_mask=bias, scale=scale).transpose(1, 2)


def write_rows(x: Tensor, rows: Tensor, index: Tensor) -> Tensor:
    """Return x (B, N, S, H) with `rows` (B, N, T, H) in place of those from row `index` on.

    On torch `keras.ops.slice_update` makes a grid of all indices, some forty operations.
    """
    rows = ops.cast(rows, x.dtype)
    if keras.backend.backend() != "torch":
        return ops.slice_update(x, (0, 0, index, 0), rows)
    return x.index_copy(2, index + ops.arange(rows.shape[2], dtype="int64"), rows)


def take_rows(table: Tensor, ids: Tensor) -> Tensor:
    """Return rows of a table, whose gradient is a table.

    On TensorFlow the gradient of `keras.ops.take` is a list with an entry for each id. Keras' Adam
    squares the entries one by one before it adds them, so a row that occurs n times in a batch
    moves up to sqrt(n) times as far as on other backends.

    Args:
        table: (V, D).
        ids: int, of any shape.

    Returns:
        (*shape of ids, D).
    """
    if keras.backend.backend() == "tensorflow":
        table = ops.reshape(table, table.shape)  # its gradient adds the entries
    return ops.take(table, ids, axis=0)


def take_along_last_axis(x: Tensor, index: Tensor) -> Tensor:
    """Return `x[..., index]`, by rows, as `take_along_axis`, which does not broadcast everywhere.

    The one of Keras on torch has the length of the sequence as a constant in exported graphs.

    Args:
        x: (B, N, T, R).
        index: int (B|1, N|1, T, S), places in the last axis of `x`.

    Returns:
        (B, N, T, S).
    """
    shape = (*ops.shape(x)[:3], ops.shape(index)[3])
    index = ops.broadcast_to(index, shape)
    if keras.backend.backend() != "torch":
        return ops.take_along_axis(x, index, axis=-1)
    return x.gather(-1, index.long())


def can_map(count: int | Tensor) -> bool:
    """Return whether `keras.ops.map` can run so often; OpenVINO has to know the number."""
    return isinstance(count, int) or keras.backend.backend() != "openvino"


def repeatable_seed(generator: keras.random.SeedGenerator) -> keras.random.SeedGenerator:
    """Return a seed for dropout in a function that `keras.remat` computes again.

    On torch that is the generator: torch puts back its own state before it computes again, and
    drops with a seed of Keras in six operations in place of one.
    """
    return generator if keras.backend.backend() == "torch" else FixedSeed(generator.next())


class FixedSeed(keras.random.SeedGenerator):
    """A generator that returns the same seed at every call.

    A function that is computed twice (`keras.remat`) must draw the same numbers both times, but
    `keras.random` takes a tensor as seed only from a generator.

    Args:
        seed: an earlier result of `SeedGenerator.next`.
    """

    def __init__(self, seed: Tensor):
        self.seed = seed
        self._initial_seed = 0  # torch's dropout tests whether it is None

    def next(self, ordered: bool = True) -> Tensor:
        return self.seed

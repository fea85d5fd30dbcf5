"""Import path of bert4keras 0.11 for tensors: `keras`, `K` and helpers, for old scripts.

All of it is written in `keras.ops`, which new code should use directly, and runs on TensorFlow, JAX
and torch. `K` has the function names of Keras 2, with their defaults if those differ from
`keras.ops`: `K.argmax`, for example, works along the last axis.

Legend: B batch, T length, D features, H head size, C classes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from . import _keras2
from ._absent import absent
from ._types import Tensor
from .layers.activations import gelu_tanh
from .losses.zlpr import (
    multilabel_categorical_crossentropy,
    sparse_multilabel_categorical_crossentropy,
)
from .positions import position_angles, rotate_pairs, sinusoids

__all__ = [
    "K",
    "Sinusoidal",
    "align",
    "apply_rotary_position_embeddings",
    "attention_normalize",
    "batch_gather",
    "divisible_temporal_padding",
    "dtype",
    "flatten",
    "gelu_erf",
    "gelu_tanh",
    "is_tf_keras",
    "keras",
    "leaky_relu",
    "multilabel_categorical_crossentropy",
    "piecewise_linear",
    "pool1d",
    "reshape",
    "root_mean_square",
    "search_layer",
    "sequence_masking",
    "sinusoidal_embeddings",
    "sparse_multilabel_categorical_crossentropy",
    "swish",
    "where",
]
is_tf_keras = False
"""Always False: Keras 3 is one package for every backend."""
__getattr__ = absent(__name__)


def gelu_erf(x: Tensor) -> Tensor:
    """Apply the exact Gaussian error linear unit (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
    return ops.gelu(x, approximate=False)


def swish(x: Tensor) -> Tensor:
    """Return `x * sigmoid(x)`."""
    return ops.silu(x)


def leaky_relu(x: Tensor, alpha: float = 0.2) -> Tensor:
    """Return x where it is positive, else alpha * x."""
    return ops.leaky_relu(x, negative_slope=alpha)


def root_mean_square(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the square root of the mean of the squares."""
    return ops.sqrt(ops.mean(ops.square(x), axis=axis, keepdims=keepdims))


def piecewise_linear(t: Any, schedule: Mapping[int, float], from_zero: bool = True) -> Any:
    """Return a polyline through the points {step: value}, constant after the last one.

    Args:
        t: step or steps, a number or tensor of any shape.
        schedule: e.g. {1000: 1, 2000: 0.1}.
        from_zero: before the first step, rise from 0 at step 0; else be constant there too.

    Returns:
        The values, float, shaped like `t`.
    """
    if not schedule:
        raise ValueError("schedule has no point: give {step: value}.")
    points = sorted(schedule.items())
    if from_zero and points[0][0] != 0:
        points.insert(0, (0, 0.0))
    t = ops.cast(t, keras.backend.floatx())
    value = ops.zeros_like(t) + points[0][1]
    for (begin, low), (end, high) in itertools.pairwise(points):
        # Each piece adds what it rises by; beyond its end, all of it.
        value += (high - low) * ops.clip((t - begin) / (end - begin), 0.0, 1.0)
    return value


def search_layer(inputs: Any, name: str, exclude_from: Any = None) -> keras.layers.Layer | None:
    """Find the layer of this name among those that lead to a symbolic tensor or a layer's output.

    Args:
        inputs: symbolic tensor or built layer.
        name: of the layer.
        exclude_from: kept for old calls; not needed.

    Raises:
        TypeError: a tensor of a running model, as the outputs that a loss gets.
    """
    if isinstance(inputs, keras.layers.Layer):
        if inputs.name == name:
            return inputs
        inputs = inputs.output
    if not all(isinstance(x, keras.KerasTensor) for x in keras.tree.flatten(inputs)):
        raise TypeError(
            f"search_layer needs a layer or model.output, not {type(inputs).__name__}: on Keras 3 "
            "no layer can be found from the outputs that a loss gets. For a gradient penalty use "
            "RegularizedModel(model, [GradientPenalty()]) of bert4keras.training."
        )
    model = keras.Model(keras.utils.get_source_inputs(inputs), inputs)
    return next((layer for layer in model.layers if layer.name == name), None)


def dtype(x: Any) -> str | None:
    """Return the dtype name of a tensor; None for a value without one, such as a Python number."""
    return keras.backend.standardize_dtype(x.dtype) if hasattr(x, "dtype") else None


def align(tensor: Tensor, axes: Sequence[int], ndim: int | None = None) -> Tensor:
    """Put the axes of a tensor at the places `axes` of one with `ndim` axes, 1 long elsewhere.

    E.g. a mask (B, T) aligned to [0, 2] of 4 axes is (B, 1, T, 1).
    """
    if len(axes) != len(tensor.shape):
        raise ValueError(f"axes {list(axes)} do not fit a tensor of {len(tensor.shape)} axes.")
    if ndim is None:
        if min(axes, default=0) < 0:
            raise ValueError(f"ndim is needed to count the axes {list(axes)} from the end.")
        ndim = max(axes, default=-1) + 1
    kept = {axis % ndim for axis in axes}
    return tensor[tuple(slice(None) if i in kept else None for i in range(ndim))]


def reshape(tensor: Tensor, *args: Any) -> Tensor:
    """Reshape: `reshape(x, shape)`, or `reshape(x, shape1, axis1, ...)` to split single axes.

    Args:
        tensor: of any shape.
        *args: a shape, or shapes and the axes that they split; a split may contain one -1.
    """
    if len(args) == 1:
        return ops.reshape(tensor, args[0])
    if not args or len(args) % 2:
        raise ValueError("reshape takes one shape, or pairs of a shape and an axis.")
    sizes = [[size] for size in ops.shape(tensor)]
    for shape, axis in zip(args[::2], args[1::2], strict=True):
        shape, (size,) = list(shape), sizes[axis]
        known = math.prod(n for n in shape if n != -1)
        sizes[axis] = [n if n != -1 else -1 if size is None else size // known for n in shape]
    return _reshape(tensor, [size for part in sizes for size in part])


def flatten(tensor: Tensor, start: int | None = None, end: int | None = None) -> Tensor:
    """Make one axis out of the axes from `start` up to, but not including, `end`."""
    sizes = list(ops.shape(tensor))
    start, end, _ = slice(start, end).indices(len(sizes))
    merged = sizes[start:end]
    size = -1 if any(n is None for n in merged) else math.prod(merged)
    return _reshape(tensor, [*sizes[:start], size, *sizes[end:]])


def _reshape(tensor: Tensor, sizes: list) -> Tensor:
    """Reshape where at most one size of a symbolic tensor is unknown."""
    sizes = [-1 if isinstance(size, type(None)) else size for size in sizes]
    if sum(isinstance(size, int) and size == -1 for size in sizes) > 1:
        raise ValueError(
            f"A symbolic tensor of shape {tuple(tensor.shape)} has several unknown lengths: call "
            "this inside the `call` of a keras.layers.Layer, where they are known."
        )
    return ops.reshape(tensor, sizes)


def where(cond: Tensor, x: Tensor | float, y: Tensor | float) -> Tensor:
    """Return x where `cond` holds, else y; numbers take the dtype of the other argument."""
    kind = dtype(x) or dtype(y) or keras.backend.floatx()
    x, y = (v if dtype(v) else ops.convert_to_tensor(v, kind) for v in (x, y))
    return ops.where(ops.cast(cond, "bool"), x, y)


def sequence_masking(
    x: Tensor,
    mask: Tensor | None = None,
    value: float | str = 0,
    axis: int | Sequence[int] | None = None,
    bias: Tensor | None = None,
    return_mask: bool = False,
) -> Any:
    """Put `value` where a sequence is padding.

    Args:
        x: (B, ..., T, ...).
        mask: (B, T), true at positions that are kept.
        value: a number, or "-inf" or "inf" for the largest finite number of the dtype, which
            unlike infinity never gives NaN.
        axis: of the sequence, 1 by default; or several axes that all are that sequence.
        bias: added to `x`; or booleans that broadcast to `x`, which join the mask.
        return_mask: also return the mask, aligned with `x`.
    """
    if isinstance(value, str) or math.isinf(value):
        value = math.copysign(6e4 if dtype(x) == "float16" else 3e38, float(value))
    full = None
    if mask is not None:
        axes = [1] if axis is None else list(axis) if isinstance(axis, Sequence) else [axis]
        for one in axes:
            part = align(ops.cast(mask, "bool"), [0, one], len(x.shape))
            full = part if full is None else ops.logical_and(full, part)
    if bias is not None and dtype(bias) == "bool":
        full = bias if full is None else ops.logical_and(full, bias)
    elif bias is not None:
        x = x + bias
    if full is not None:
        x = where(full, x, value)
    return (x, full) if return_mask else x


def batch_gather(params: Tensor, indices: Tensor) -> Tensor:
    """Return `params[b, indices[b]]` for every b: (B, n, ...) and (B, m) to (B, m, ...).

    `indices` may have more axes than two; all but the last are those of `params`.
    """
    indices = ops.cast(indices, "int32")
    extra = len(params.shape) - len(indices.shape)
    indices = ops.reshape(indices, (*ops.shape(indices), *[1] * extra))
    return ops.take_along_axis(params, indices, axis=len(indices.shape) - extra - 1)


def pool1d(
    x: Tensor,
    pool_size: int,
    strides: int = 1,
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Tensor:
    """Return the maximum or average over windows of a sequence of vectors (B, T, D)."""
    if pool_mode not in ("max", "avg"):
        raise ValueError(f"pool_mode must be 'max' or 'avg', not {pool_mode!r}.")
    pool = ops.max_pool if pool_mode == "max" else ops.average_pool
    return pool(x, pool_size, strides, padding, data_format or "channels_last")


def divisible_temporal_padding(x: Tensor, n: int) -> Tensor:
    """Append zeros to a sequence (B, T, D), up to a length that `n` divides."""
    missing = -ops.shape(x)[1] % n
    return ops.pad(x, [[0, 0], [0, missing], *[[0, 0]] * (len(x.shape) - 2)])


def attention_normalize(
    a: Tensor,
    mask: Tensor | None = None,
    axis: int = -1,
    method: str = "softmax",
    bias: Tensor | None = None,
) -> Tensor:
    """Turn attention scores into weights.

    Args:
        a: scores, e.g. (B, N, T, T).
        mask, bias: as in `sequence_masking`, along `axis`.
        method: "softmax"; "squared_relu", over the number of keys (arXiv:2202.10447); or
            "softmax_plus", whose temperature follows the number of keys
            (https://kexue.fm/archives/8823).
    """
    if method not in ("softmax", "squared_relu", "softmax_plus"):
        raise ValueError(f"method must be softmax, squared_relu or softmax_plus, not {method!r}.")
    _, full = sequence_masking(a, mask, 0, axis, bias, True)
    if full is None:
        count = ops.cast(ops.shape(a)[axis], a.dtype)
    else:
        count = ops.sum(ops.cast(full, a.dtype), axis=axis, keepdims=True)
    if method == "softmax_plus":
        scale = ops.log(ops.maximum(count, 16)) / math.log(512)
        a = (a if bias is None or dtype(bias) == "bool" else a + bias) * scale
        bias = bias if dtype(bias) == "bool" else None
    a = sequence_masking(a, mask, "-inf", axis, bias)
    if method == "squared_relu":
        return ops.square(ops.relu(a)) / ops.maximum(count, 1)
    return ops.softmax(a, axis=axis)


def sinusoidal_embeddings(pos: Tensor, dim: int, base: float = 10000) -> Tensor:
    """Return sines and cosines, alternating, of positions (...): (..., dim) (arXiv:1706.03762)."""
    if dim % 2:
        raise ValueError(f"dim must be even, not {dim}.")
    angles = position_angles(pos, dim, base)
    both = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
    return ops.reshape(both, (*ops.shape(angles)[:-1], dim))


class Sinusoidal(keras.initializers.Initializer):
    """The table of `sinusoidal_embeddings` for the positions 0, 1, ..., shape (positions, dim)."""

    def __call__(self, shape, dtype=None):
        return ops.cast(sinusoids(*shape), dtype or "float32")


def apply_rotary_position_embeddings(sinusoidal: Tensor, *tensors: Tensor) -> Tensor | list[Tensor]:
    """Rotate each pair of neighbouring features by its angle (RoFormer, arXiv:2104.09864).

    Args:
        sinusoidal: (B|1, T, H), from `sinusoidal_embeddings`.
        tensors: each (B, T, ..., H), of equal shapes.

    Returns:
        The rotated tensor, or a list of them for several.
    """
    if not tensors or len({tuple(tensor.shape) for tensor in tensors}) > 1:
        raise ValueError(f"tensors of one shape are needed, not {[t.shape for t in tensors]}.")
    sines = align(sinusoidal, [0, 1, -1], len(tensors[0].shape))
    rotated = [rotate_pairs(x, sines[..., ::2], sines[..., 1::2]) for x in tensors]
    return rotated[0] if len(rotated) == 1 else rotated


K = _keras2.Functions(
    dtype=dtype, flatten=flatten, reshape=reshape, sequence_masking=sequence_masking, where=where
)
"""Functions of Keras 2 by their names; some are the versions that 0.11 put there."""

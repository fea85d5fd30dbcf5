"""Changes of layout between a stored tensor and a weight, and how they are inverted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from .._types import Array
from .errors import CheckpointError


@dataclasses.dataclass(frozen=True)
class Slice:
    """A slice of a fused tensor: the `index`-th of `count` equal ones along `axis`."""

    index: int
    count: int
    axis: int


@dataclasses.dataclass(frozen=True)
class TensorTransform:
    """A named invertible change of layout between a stored tensor and a weight.

    Attributes:
        name: transforms with equal names (and slices) are equal.
        forward: stored tensor -> weight.
        inverse: weight -> stored tensor, or -> its slice of that tensor if `slice` is set.
        slice: set if the tensor is fused, and the weight is one slice of it.
    """

    name: str
    forward: Callable[[Array], Array] = dataclasses.field(compare=False)
    inverse: Callable[[Array], Array] = dataclasses.field(compare=False)
    slice: Slice | None = None

    def then(self, other: TensorTransform) -> TensorTransform:
        """Compose: this transform followed by `other`, from the tensor to the weight."""
        if self == IDENTITY or other == IDENTITY:
            return other if self == IDENTITY else self
        if other.slice:
            raise ValueError(
                f"a slice must come first: `{other.name}` after `{self.name}`. Of several "
                "`Rename`s, put the one with the slice behind the others."
            )
        return TensorTransform(
            f"{self.name}, {other.name}",
            lambda tensor: other.forward(self.forward(tensor)),
            lambda weight: self.inverse(other.inverse(weight)),
            self.slice,
        )

    def shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the weight for a tensor of `shape`, without any data.

        Raises:
            ValueError: the transform does not apply to such a tensor.
        """
        return self.forward(np.broadcast_to(np.uint8(0), tuple(shape))).shape


def _transpose(array: Array) -> Array:
    if array.ndim != 2:
        raise ValueError(f"a tensor to transpose must be a matrix, not of shape {array.shape}")
    return array.T


IDENTITY = TensorTransform("identity", lambda x: x, lambda x: x)
"""Transform of a tensor that a checkpoint stores as the model has it."""
TRANSPOSE = TensorTransform("transpose", _transpose, _transpose)
"""Transform of a matrix that a checkpoint stores transposed."""


def slice_of(index: int, count: int, axis: int) -> TensorTransform:
    """Return the transform to the `index`-th of `count` equal slices of a fused tensor.

    A tensor of queries, keys and values has three, along `axis` of the stored tensor: 0 if it is
    (out, in), as a `Linear` of torch, 1 if it is (in, out).
    """

    def split(tensor: Array) -> Array:
        if tensor.ndim <= axis or tensor.shape[axis] % count:
            raise ValueError(f"{tensor.shape} has no {count} equal slices along axis {axis}")
        return np.split(tensor, count, axis)[index]

    return TensorTransform(
        f"slice {index} of {count} along {axis}",
        split,
        lambda weight: weight,
        Slice(index, count, axis),
    )


def fuse(tensor: str, pieces: Sequence[tuple[TensorTransform, Array]]) -> Array:
    """Build a stored tensor from its weights: invert their transforms and join the slices.

    Args:
        tensor: name of the stored tensor, for messages.
        pieces: (transform, weight) of every weight stored in it.

    Returns:
        The stored tensor, C-contiguous.

    Raises:
        CheckpointError: slices are missing, doubled or of mixed kinds.
    """
    if len(pieces) == 1 and pieces[0][0].slice is None:
        transform, weight = pieces[0]
        return np.asarray(transform.inverse(weight), order="C")
    parts = [transform.slice for transform, _ in pieces]
    count = parts[0].count if parts[0] else 0
    if None in parts or sorted(p.index for p in parts) != list(range(count)):
        raise CheckpointError(f"`{tensor}` cannot be built from {len(pieces)} weights")
    ordered = sorted(pieces, key=lambda piece: piece[0].slice.index)
    inverted = [transform.inverse(weight) for transform, weight in ordered]
    return np.concatenate(inverted, axis=parts[0].axis)

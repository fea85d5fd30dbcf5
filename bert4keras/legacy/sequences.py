"""Layers of Keras whose masks differed in 0.11, and layers that join or split tensors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from .._lookup import Lookup
from .._scores import lowest
from .._types import Shape, Tensor
from ..layers.masking import EndsMask
from ..layers.pooling import mean
from . import PACKAGE, Masks, Tensors


@keras.saving.register_keras_serializable(PACKAGE)
class Embedding(Lookup):
    """`keras.layers.Embedding` that also gives the scores of tokens.

    The first token is never masked, since T5 starts its decoder with the padding id.

    Call arguments:
        inputs: int (B, T), or float (B, T, E) with `mode="dense"`.
        mode: "embedding"; or "dense", the product with the transposed table: (B, T, V).
    """

    def call(self, inputs: Tensor, mode: str = "embedding") -> Tensor:
        if mode == "embedding":
            return super().call(inputs)
        return ops.matmul(inputs, ops.transpose(ops.cast(self.embeddings, inputs.dtype)))

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        if len(inputs.shape) != 2:
            return mask
        mask = super().compute_mask(inputs, mask)
        if mask is None:
            return None
        return ops.concatenate([ops.ones_like(mask[:, :1]), mask[:, 1:]], axis=1)

    def compute_output_spec(self, inputs: Tensor, mode: str = "embedding") -> keras.KerasTensor:
        shape = (*inputs.shape, self.output_dim)
        if mode != "embedding":
            shape = (*inputs.shape[:-1], self.input_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(PACKAGE)
class GlobalAveragePooling1D(EndsMask, keras.layers.GlobalAveragePooling1D):
    """Mean over the positions that are not masked: (B, T, D) to (B, D)."""

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None or self.data_format == "channels_first":
            return super().call(inputs, mask=mask)
        return mean(inputs, mask)


@keras.saving.register_keras_serializable(PACKAGE)
class GlobalMaxPooling1D(EndsMask, keras.layers.GlobalMaxPooling1D):
    """Maximum over the positions that are not masked: (B, T, D) to (B, D)."""

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            axis = 2 if self.data_format == "channels_last" else 1
            mask = ops.expand_dims(ops.cast(mask, "bool"), axis)
            inputs = ops.where(mask, inputs, lowest(inputs.dtype))
        return super().call(inputs)


@keras.saving.register_keras_serializable(PACKAGE)
class Concatenate1D(keras.layers.Layer):
    """Concatenation of sequences (B, T, D) along T, and of their masks.

    A sequence without a mask has no padding.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return ops.concatenate(inputs, axis=1)

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None = None
    ) -> Tensor | None:
        masks = previous_mask or [None] * len(inputs)
        if all(mask is None for mask in masks):
            return None
        full = [
            ops.ones_like(x[..., 0], dtype="bool") if mask is None else ops.cast(mask, "bool")
            for x, mask in zip(inputs, masks, strict=True)
        ]
        return ops.concatenate(full, axis=1)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        lengths = [shape[1] for shape in input_shape]
        length = None if None in lengths else sum(lengths)
        return (input_shape[0][0], length, *input_shape[0][2:])


@keras.saving.register_keras_serializable(PACKAGE)
class BatchSplit(keras.layers.Layer):
    """Split of tensors along the batch axis.

    Args:
        parts: number of equal parts, the last one possibly smaller; or the proportion of each.

    Call arguments:
        inputs: a tensor or a list of tensors.

    Returns:
        List of the parts of the first tensor, then those of the second, and so on.
    """

    def __init__(self, parts: int | Sequence[float], **kwargs: Any):
        super().__init__(**kwargs)
        self.parts = parts
        self.supports_masking = True

    def call(self, inputs: Tensors) -> list[Tensor]:
        if isinstance(inputs, (list, tuple)):
            return [part for x in inputs for part in self.call(x)]
        ends = [0, *self._ends(ops.shape(inputs)[0])]
        return [inputs[start:end] for start, end in itertools.pairwise(ends)]

    def _ends(self, size: Any) -> list[Any]:
        """Return where each part of a batch of this size ends."""
        if isinstance(self.parts, int):
            step = -(-size // self.parts)
            return [*(step * i for i in range(1, self.parts)), size]
        total, ends = sum(self.parts), list(itertools.accumulate(self.parts))[:-1]
        return [*(ops.cast(end * size / total, "int32") for end in ends), size]

    def compute_mask(self, inputs: Tensors, previous_mask: Masks = None) -> list[Tensor | None]:
        if isinstance(previous_mask, (list, tuple)):
            return [part for mask in previous_mask for part in self.compute_mask(None, mask)]
        count = self.parts if isinstance(self.parts, int) else len(self.parts)
        return [None] * count if previous_mask is None else list(self.call(previous_mask))

    def compute_output_spec(self, inputs: Tensors) -> list[keras.KerasTensor]:
        count = self.parts if isinstance(self.parts, int) else len(self.parts)
        tensors = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        return [
            keras.KerasTensor((None, *x.shape[1:]), dtype=x.dtype)
            for x in tensors
            for _ in range(count)
        ]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "parts": self.parts}


@keras.saving.register_keras_serializable(PACKAGE)
class BatchConcat(keras.layers.Layer):
    """Concatenation of tensors along the batch axis, and of their masks if all have one."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return ops.concatenate(inputs, axis=0)

    def compute_mask(
        self, inputs: Sequence[Tensor], previous_mask: Sequence[Tensor | None] | None = None
    ) -> Tensor | None:
        masks = previous_mask or [None]
        return None if any(m is None for m in masks) else ops.concatenate(masks, axis=0)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return (None, *input_shape[0][1:])

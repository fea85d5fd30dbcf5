"""The masks that layers of Keras attach to tensors, which only Keras' own layers can reach."""

from __future__ import annotations

from typing import Any

import keras

from .._types import Tensor


def keras_mask(tensor: Tensor) -> Tensor | None:
    """Return the mask attached to a tensor, bool (B, T), or None."""
    from keras.src.backend import get_keras_mask

    return get_keras_mask(tensor)


def set_keras_mask(tensor: Tensor, mask: Tensor) -> None:
    """Attach a mask to a tensor; Keras leaves masked losses out of their mean."""
    from keras.src.backend import set_keras_mask

    set_keras_mask(tensor, mask)


def with_mask_of(source: Any, tensors: Any) -> Any:
    """Return `tensors` with the masks of `source`, a structure of the same shape."""

    def carry(old: Tensor | None, new: Tensor) -> Tensor:
        if new is not old and old is not None and (mask := keras_mask(old)) is not None:
            set_keras_mask(new, mask)
        return new

    return keras.tree.map_structure(carry, source, tensors)


def with_implicit_mask(layer: keras.layers.Layer, ids: Tensor, vectors: Tensor) -> Tensor:
    """Return vectors with the mask that an embedding layer (`mask_zero`) derives from its ids."""
    mask = layer.compute_mask(ids, None) if layer.supports_masking else None
    if mask is not None:
        set_keras_mask(vectors, mask)
    return vectors

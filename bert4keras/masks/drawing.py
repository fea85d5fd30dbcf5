"""Drawings of masks: which tokens each token sees.

Legend: T tokens of one text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
from keras import ops

from ..display import draw_grid
from .base import Mask
from .layer import AttentionMask
from .strategies import get_mask


@overload
def draw_mask(
    mask: Mask | str,
    tokens: Sequence[str],
    format: Literal["text", "html"] = "text",
    *,
    query_stream: bool = False,
    pad_token: str | None = "[PAD]",
    **inputs: Sequence[int],
) -> str: ...


@overload
def draw_mask(
    mask: Mask | str,
    tokens: Sequence[str],
    format: Literal["png"],
    *,
    query_stream: bool = False,
    pad_token: str | None = "[PAD]",
    **inputs: Sequence[int],
) -> bytes: ...


def draw_mask(mask, tokens, format="text", **options):
    """Draw which tokens (columns) each token (row) sees under a mask.

    Args:
        mask: a `Mask`, or its application name, such as "unilm".
        tokens: T tokens, `tokenizer.tokenize(text)` or any strings.
        format: "text" (`#` is visible, `.` is hidden), "html" or "png".
        **options: of `visible_keys`, the model inputs above all.

    Returns:
        A str, or the bytes of a PNG; see `display.draw_grid`, also for its errors.

    Example:
        >>> print(draw_mask("unilm", ["rain", "or", "sun"], segment_ids=[0, 0, 1]))
    """
    return draw_grid(visible_keys(mask, tokens, **options), tokens, format=format)


def visible_keys(
    mask: Mask | str,
    tokens: Sequence[str],
    *,
    query_stream: bool = False,
    pad_token: str | None = "[PAD]",
    **inputs: Sequence[int],
) -> np.ma.MaskedArray:
    """Compute which tokens each token sees under a mask, by the layer that models use.

    Args:
        mask: a `Mask`, or its application name.
        tokens: T tokens.
        query_stream: a token does not see itself, as in the second stream of `TwoStream`. Tokens
            that would see nothing, those of the lowest rank, see each other, as there.
        pad_token: tokens of this name are padding; None: there is none.
        **inputs: what the mask reads, by the names in its `input_names`: T whole numbers each, such
            as `segment_ids=[0, 0, 1]`.

    Returns:
        (T, T) bool, queries by keys; rows and columns of padding are masked.

    Raises:
        ValueError: an input of the mask is missing, has another length, or is not read by it.
    """
    mask, length = get_mask(mask), len(tokens)
    for name in mask.input_names:
        if name not in inputs:
            raise ValueError(
                f"{mask} reads {name}: pass {name}=[...], a whole number for each of the "
                f"{length} tokens."
            )
    for name, numbers in inputs.items():
        if name not in mask.input_names:
            reads = ", ".join(mask.input_names) or "nothing but the tokens"
            raise ValueError(f"{mask} does not read {name}, it reads {reads}.")
        if len(numbers) != length:
            raise ValueError(f"{name} has {len(numbers)} numbers for {length} tokens.")
    real = np.array([token != pad_token for token in tokens], "int32")
    arrays = {name: np.asarray(numbers, "int32") for name, numbers in inputs.items()}
    tensors = {
        name: ops.convert_to_tensor(array[None])
        for name, array in {"token_ids": real, **arrays}.items()
    }

    def computed(query_stream: bool) -> np.ndarray:
        found = AttentionMask(mask)(tensors, query_stream=query_stream)
        return np.broadcast_to(ops.convert_to_numpy(found)[0, 0], (length, length))

    visible = computed(query_stream)
    if query_stream:
        visible = np.where(visible.any(axis=1, keepdims=True), visible, computed(False))
    padding = real == 0
    return np.ma.masked_array(visible, mask=padding[:, None] | padding[None])

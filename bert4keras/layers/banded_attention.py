"""Attention in bands: only the keys that a sparse mask can show to a query, see `masks.bands`.

With one band the groups of queries and candidates become rows of a batch, and the attention layer
runs on them as on any batch. With several bands a query has candidates in each, and one softmax
spans all of them: a pair that is in two bands is masked in the second, so none counts twice.

Legend: B batch, T length, N heads, H head size, K key size, G groups, b queries and c candidates of
a group.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import keras
from keras import ops

from .._compat import FixedSeed
from .._types import Tensor
from ..masks import Band

if TYPE_CHECKING:
    from .attention import MultiHeadAttention


def is_banded(mask: Tensor | None) -> bool:
    """Return whether a mask is a `masks.bands.banded_mask`, by its five axes."""
    return mask is not None and len(mask.shape) == 5


class _Folding:
    """Tensors of one band, folded: queries (B G, b, ...) and their candidates (B G, c, ...)."""

    def __init__(self, band: Band, batch: int | Tensor, length: int | Tensor):
        self.band, self.batch, self.length = band, batch, length

    def queries(self, x: Tensor | None) -> Tensor | None:
        """Fold x (B|1, T, ...) to (B G, b, ...)."""
        return None if x is None else self._merge(self.band.fold_queries(x))

    def keys(self, x: Tensor | None) -> Tensor | None:
        """Fold x (B|1, T, ...) to (B G, c, ...)."""
        return None if x is None else self._merge(self.band.fold_keys(x))

    def pairs(self, rows: Tensor | None) -> Tensor | None:
        """Fold numbers of pairs (B|1, T, N|1, c) to (B G, N|1, b, c)."""
        return None if rows is None else ops.swapaxes(self.queries(rows), 1, 2)

    def rows(self, x: Tensor) -> Tensor:
        """Undo `queries`: (B G, b, ...) to (B, T, ...)."""
        x = ops.reshape(x, (self.batch, -1, *ops.shape(x)[1:]))
        return self.band.unfold(x, self.length)

    def _merge(self, x: Tensor) -> Tensor:
        if x.shape[0] == 1:
            x = ops.broadcast_to(x, (self.batch, *ops.shape(x)[1:]))
        return ops.reshape(x, (-1, *ops.shape(x)[2:]))


def banded_values(
    layer: MultiHeadAttention,
    *,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    bias: Tensor | None,
    positions: Tensor | None,
    key_positions: Tensor | None,
    relative: Tensor | None,
    dropout: float,
    seed: FixedSeed | None,
) -> Tensor:
    """Compute the weighted values of an attention layer, (B, T, N, H).

    Args:
        layer: an attention layer with `bands`.
        query, key, value, positions, key_positions, relative, dropout, seed: as of its `attend`.
        mask: bool (B|1, 1, 1, T, c).
        bias: (B|1, N, T, c) or None.

    Raises:
        ValueError: the layer has no bands.
    """
    if not layer.bands:
        raise ValueError(
            f"{layer.name} got a mask in bands and has none itself: make the layer with "
            "bands=mask_layer.bands, or the mask without bands, AttentionMask(..., bands=())."
        )
    batch, length = ops.shape(query)[:2]
    rows = mask[:, 0, 0, :, None]
    bias = None if bias is None else ops.swapaxes(bias, 1, 2)
    foldings = [_Folding(band, batch, length) for band in layer.bands]
    places = [
        {
            "query": folding.queries(query),
            "key": folding.keys(key),
            "positions": folding.queries(positions),
            "key_positions": folding.keys(key_positions),
            "relative": relative,
        }
        for folding in foldings
    ]
    if len(foldings) == 1:
        (folding,) = foldings
        return folding.rows(
            layer.attend(
                **places[0],
                value=folding.keys(value),
                mask=folding.pairs(rows),
                bias=folding.pairs(bias),
                dropout=dropout,
                seed=seed,
            ).output
        )
    parts = []
    for folding, given in zip(foldings, places, strict=True):
        own = layer.position_scores(**given)
        part = layer.content_scores(given["query"], given["key"], own)
        parts.append(folding.rows(ops.swapaxes(part, 1, 2)))
    scores = ops.concatenate(parts, axis=-1)
    if bias is not None:
        scores = scores + ops.cast(bias, scores.dtype)
    probabilities = ops.cast(layer.normalize(scores, rows), value.dtype)
    if dropout:
        probabilities = keras.random.dropout(probabilities, dropout, seed=seed)
    return _average(layer, foldings, probabilities, value, places)


def _average(
    layer: MultiHeadAttention,
    foldings: Sequence[_Folding],
    probabilities: Tensor,
    value: Tensor,
    places: Sequence[Mapping[str, Tensor]],
) -> Tensor:
    """Average the values (B, T, N, H) by probabilities (B, T, N, c) over several bands."""
    parts, start = [], 0
    for folding, given in zip(foldings, places, strict=True):
        end = start + ops.shape(given["key"])[1]
        values = layer.weighted_values(
            probabilities=folding.pairs(probabilities[..., start:end]),
            value=folding.keys(value),
            positions=given["positions"],
            key_positions=given["key_positions"],
        )
        parts.append(folding.rows(values))
        start = end
    return functools.reduce(ops.add, parts)

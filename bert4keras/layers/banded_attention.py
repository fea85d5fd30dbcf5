"""Attention in bands: only the keys that a sparse mask can show to a query, see `masks.bands`.

With one band the groups of queries and candidates become rows of a batch, and the attention layer
runs on them as on any batch; under a window, one part of the sequence after the other.
With several bands a query has candidates in each, and one softmax spans all of them: a pair that is
in two bands is masked in the second, so none counts twice.

Legend: B batch, T length, N heads, H head size, K key size, G groups, b queries and c candidates of
a group.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import keras
from keras import ops

from .._types import Tensor
from ..masks.band_parts import BandParts, PartKeys
from ..masks.bands import Band

if TYPE_CHECKING:
    from .attention import AttentionOutput, MultiHeadAttention

# Tokens of a text in one part. Larger parts need more memory, smaller ones leave less to do in
# parallel.
_PART_TOKENS = 512
# Arguments of `attend` that may be missing.
_PLACES = ("bias", "positions", "key_positions")


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
    seed: keras.random.SeedGenerator,
    in_parts: bool = False,
) -> Tensor:
    """Compute the weighted values of an attention layer, (B, T, N, H).

    Args:
        layer: an attention layer with `bands`.
        query, key, value, positions, key_positions, relative, dropout, seed: as of its `attend`.
        mask: bool (B|1, 1, 1, T, c).
        bias: (B|1, N, T, c) or None.
        in_parts: compute a few queries at a time, if there is one band with a window and no
            dropout. It saves nothing in training, where the backward pass needs all parts.

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
    first = layer.bands[0]
    if len(layer.bands) == 1 and first.blocks is not None:
        parts = BandParts(first, length, _PART_TOKENS if in_parts and not dropout else None)
        by_query = {"query": query, "mask": rows, "bias": bias, "positions": positions}
        by_key = {"key": key, "value": value, "key_positions": key_positions}
        attend = functools.partial(layer.attend, relative=relative, dropout=dropout, seed=seed)
        return _values_by_parts(parts, attend, *(_of_batch(x, batch) for x in (by_query, by_key)))
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
    scores = _candidate_scores(layer, foldings, places)
    if bias is not None:
        scores = scores + ops.cast(bias, scores.dtype)
    probabilities = ops.cast(layer.normalize(scores, rows), value.dtype)
    if dropout:
        probabilities = keras.random.dropout(probabilities, dropout, seed=seed)
    return _average(layer, foldings, probabilities, value, places)


def _of_batch(tensors: Mapping[str, Tensor | None], batch: int | Tensor) -> dict[str, Tensor]:
    """Return the tensors that are there, those of one row (1, ...) repeated for the batch."""
    return {
        name: ops.broadcast_to(x, (batch, *ops.shape(x)[1:])) if x.shape[0] == 1 else x
        for name, x in tensors.items()
        if x is not None
    }


def _values_by_parts(
    parts: BandParts,
    attend: Callable[..., AttentionOutput],
    by_query: Mapping[str, Tensor],
    by_key: Mapping[str, Tensor],
) -> Tensor:
    """Call `attend` for one part after the other, and join the values (B, T, N, H).

    Args:
        parts: of the sequence.
        attend: `MultiHeadAttention.attend`, whose results for a batch of blocks are needed.
        by_query: its tensors of queries (B, T, ...); mask and bias are (B, T, N|1, c).
        by_key: its tensors of keys (B, S, ...).
    """

    def values(given: tuple[dict[str, Tensor], dict[str, PartKeys]]) -> Tensor:
        queries, keys = given
        tensors = {name: parts.blocks(x) for name, x in queries.items()}
        for name in {"mask", "bias"} & tensors.keys():
            tensors[name] = ops.swapaxes(tensors[name], 1, 2)
        tensors |= {name: parts.candidates(x) for name, x in keys.items()}
        found = attend(**{**dict.fromkeys(_PLACES), **tensors}).output
        return ops.reshape(found, (*ops.shape(queries["query"])[:2], *ops.shape(found)[2:]))

    queries = {name: parts.queries(x) for name, x in by_query.items()}
    keys = {name: parts.keys(x) for name, x in by_key.items()}
    if isinstance(parts.count, int) and parts.count == 1:
        first = keras.tree.map_structure(lambda x: x[0], (queries, keys))
        return parts.join(values(first)[None])
    return parts.join(ops.map(values, (queries, keys)))


def _candidate_scores(
    layer: MultiHeadAttention,
    foldings: Sequence[_Folding],
    places: Sequence[Mapping[str, Tensor]],
) -> Tensor:
    """Return the scores (B, T, N, c) of all candidates, of one band after the other."""
    parts = []
    for folding, given in zip(foldings, places, strict=True):
        own = layer.position_scores(**given)
        part = layer.content_scores(given["query"], given["key"], own)
        parts.append(folding.rows(ops.swapaxes(part, 1, 2)))
    return ops.concatenate(parts, axis=-1)


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

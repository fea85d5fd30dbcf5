"""Where a token is: position strategies, a set of hooks that do nothing unless overridden.

Positions are always an explicit int tensor, so custom ids, left padding, packed documents and
cached decoding steps go through the same code.

Legend: B batch, T query length, S key length, N heads, H head size, E embedding size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from ._position_ids import GivenPositions, PositionIds
from ._serialization import Configurable, serializable


@serializable
@dataclasses.dataclass(frozen=True)
class Position(Configurable):
    """No positions at all; the base of the strategies.

    A family names one (`Transformer.position`), and the assembler calls each hook at its place.
    """

    def ids(self, transformer: Any, inputs: Mapping[str, Any], name: str = "Position-Ids") -> Any:
        """Positions (B|1, S), where the caller gives none.

        Args:
            transformer: the assembler, whose mask says where positions start anew.
            inputs: model inputs by name, (B, S) each; those the mask needs, or `token_ids` alone.
            name: of the layer.
        """
        config, strategy = transformer.config, transformer.mask
        options = {"pad_token_id": self.padding(config), "reach": self.reach(config)}
        if not strategy.restarts_positions or len(inputs) == 1:
            return transformer.apply(inputs["token_ids"], PositionIds, name=name, **options)
        inputs = {need: inputs[need] for need in ("token_ids", *strategy.input_names)}
        options |= {"strategy": strategy, "hidden_id": config.pad_token_id}
        return transformer.apply(inputs, PositionIds, name=name, **options)

    def padding(self, config: Any) -> int | None:
        """The padding id, where it is left out of the count; None: it counts."""
        return None

    def given(self, transformer: Any, position_ids: Any) -> Any:
        """The caller's own positions (B, S), checked where only some exist."""
        reach = self.reach(transformer.config)
        if reach is None:
            return position_ids
        highest = self.first(transformer.config) + reach
        return transformer.apply(position_ids, GivenPositions, "Position-Given", reach=highest)

    def first(self, config: Any) -> int:
        """Position of the first token."""
        return 0

    def reach(self, config: Any) -> int | None:
        """How many tokens can have a position; None: any number."""
        return None

    def embed(self, transformer: Any, x: Any, positions: Any) -> Any:
        """Add to the embeddings `x` (B, T, E); may create layers through `transformer.apply`."""
        return x

    def bias(self, transformer: Any, q_positions: Any, k_positions: Any) -> Any | None:
        """Finite term for the attention scores, (B|1, N, T, S); computed once per forward."""
        return None

    def rotate(self, query: Any, key: Any, positions: Any) -> tuple[Any, Any]:
        """Turn queries and keys (B, T, N, H) by their positions (B|1, T)."""
        return query, key

    @property
    def rotates(self) -> bool:
        """Whether attention layers must be given the positions."""
        return type(self).rotate is not Position.rotate


@serializable
@dataclasses.dataclass(frozen=True)
class Learned(Position):
    """A trained vector per position, added to the token embedding (BERT).

    With `hierarchical_position` in the config the table reaches further, see `PositionEmbedding`.
    """

    def reach(self, config):
        rows = config.max_position
        return (rows**2 if config.hierarchical_position else rows) - self.first(config)

    def embed(self, transformer, x, positions):
        config = transformer.config
        vectors = transformer.apply(
            positions,
            PositionEmbedding,
            name="Embedding-Position",
            input_dim=config.max_position,
            output_dim=transformer.embedding_width,
            hierarchical=config.hierarchical_position,
            embeddings_initializer=transformer.initializer,
        )
        return transformer.apply([x, vectors], keras.layers.Add, name="Embedding-Position-Add")


@serializable
@dataclasses.dataclass(frozen=True)
class LearnedFromPadding(Learned):
    """`Learned`, where the first token has the position after the padding id (RoBERTa)."""

    def first(self, config):
        return config.pad_token_id + 1

    def padding(self, config):
        return config.pad_token_id


@serializable
@dataclasses.dataclass(frozen=True)
class Rotary(Position):
    """Queries and keys turned by an angle that grows with the position (RoPE).

    Attributes:
        base: the slowest angle is about 1 / base per position.
        interleaved: pair coordinate 2i with 2i + 1 (the author's form); else i with i + H/2.

    Source: Su et al., RoFormer, 2021 (arXiv:2104.09864).
    """

    base: float = 10000.0
    interleaved: bool = True

    def rotate(self, query, key, positions):
        size = query.shape[-1]
        speeds = self.base ** (-np.arange(0, size, 2, dtype="float64") / size)
        # Angles in float32: a half cannot tell position 4097 from 4098.
        angles = ops.cast(positions, "float32")[..., None] * ops.cast(speeds, "float32")
        sine, cosine = (ops.cast(f(angles), query.dtype)[:, :, None, :] for f in (ops.sin, ops.cos))
        return self.turn(query, sine, cosine), self.turn(key, sine, cosine)

    def turn(self, x, sine, cosine):
        """Rotate the pairs of coordinates of (B, T, N, H) by angles (B|1, T, 1, H/2)."""
        left, right = (x[..., ::2], x[..., 1::2]) if self.interleaved else ops.split(x, 2, axis=-1)
        turned = (left * cosine - right * sine, left * sine + right * cosine)
        if self.interleaved:
            return ops.reshape(ops.stack(turned, axis=-1), ops.shape(x))
        return ops.concatenate(turned, axis=-1)


def sinusoids(count: int, size: int) -> np.ndarray:
    """Sines and cosines of positions, alternating: float32 (count, size).

    Source: Vaswani et al., Attention Is All You Need, 2017 (arXiv:1706.03762).
    """
    speeds = 10000.0 ** (-np.arange(0, size, 2) / size)
    angles = np.arange(count)[:, None] * speeds
    return (
        np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(count, size).astype("float32")
    )


@serializable
class PositionEmbedding(keras.layers.Embedding):
    """Embedding of positions, which can reach further than its table.

    Args:
        hierarchical: a in (0, 1), not 1/2. Position `i n + j`, for a table of n rows, is then read
            as `a u[i] + (1 - a) u[j]` with `u = (p - a p[0]) / (1 - a)`: the first n positions
            stay as they were trained, and n * n can be told apart. None: only the n of the table.
        input_dim, output_dim, **kwargs: of `keras.layers.Embedding`.

    Call arguments:
        inputs: int tensor (B|1, T), positions from 0.

    Source: hierarchical: https://kexue.fm/archives/7947.
    """

    def __init__(self, input_dim, output_dim, hierarchical: float | None = None, **kwargs):
        super().__init__(input_dim, output_dim, **kwargs)
        if hierarchical is not None and not (0 < hierarchical < 1 and hierarchical != 0.5):
            raise ValueError(
                f"hierarchical_position must lie in (0, 1) and not be 0.5, not {hierarchical!r}."
            )
        self.hierarchical = hierarchical

    def call(self, inputs):
        if not self.hierarchical:
            return super().call(inputs)
        a = self.hierarchical
        coarse, fine = inputs // self.input_dim, inputs % self.input_dim
        u = [super(PositionEmbedding, self).call(part) for part in (coarse, fine)]
        first = super().call(ops.zeros_like(inputs))
        coarse, fine = ((vectors - a * first) / (1 - a) for vectors in u)
        return a * coarse + (1 - a) * fine

    def get_config(self):
        return {**super().get_config(), "hierarchical": self.hierarchical}


@serializable
@dataclasses.dataclass(frozen=True)
class T5Buckets(Position):
    """A trained term of the attention scores, by head and bucket of distances; one for all blocks.

    The number of buckets and the largest distance come from the config
    (`relative_attention_num_buckets`, `relative_attention_max_distance`).

    Attributes:
        bidirectional: keys after the query have buckets of their own; else all share one.

    Source: Raffel et al., Exploring the Limits of Transfer Learning, 2019 (arXiv:1910.10683).
    """

    bidirectional: bool = True

    def bias(self, transformer, q_positions, k_positions):
        config = transformer.config
        return transformer.apply(
            [q_positions, k_positions],
            BucketEmbedding,
            name="Embedding-Relative-Position",
            input_dim=config.relative_attention_num_buckets,
            output_dim=config.num_attention_heads,
            max_distance=config.relative_attention_max_distance,
            bidirectional=self.bidirectional,
            embeddings_initializer=transformer.initializer,
        )


def distance_buckets(count: int, max_distance: int, bidirectional: bool) -> np.ndarray:
    """Buckets of the distances `key - query` from `-max_distance` to `max_distance`, int32.

    Half of the buckets of a direction hold one distance each, the others grow geometrically; what
    lies farther than `max_distance` belongs to the last one. In whole numbers, so that no backend
    rounds a border to the other side.
    """
    distances = np.arange(-max_distance, max_distance + 1)
    size = count // 2 if bidirectional else count
    exact = size // 2
    grown = size - exact
    # Bucket exact + j starts where distance / exact >= (max_distance / exact) ** (j / grown).
    borders = [
        next(
            d
            for d in range(exact, max_distance + 1)
            if d**grown * exact**j >= max_distance**j * exact**grown
        )
        for j in range(1, grown)
    ]
    starts = [*range(1, exact + 1), *borders]
    back = np.searchsorted(starts, np.maximum(-distances, 0), side="right")
    if not bidirectional:
        return back.astype("int32")
    ahead = size + np.searchsorted(starts, distances, side="right")
    return np.where(distances > 0, ahead, back).astype("int32")


@serializable
class BucketEmbedding(keras.layers.Embedding):
    """A trained number per head for every bucket of distances between a query and a key.

    Args:
        input_dim: number of buckets.
        output_dim: number of heads, N.
        max_distance: where the last bucket starts, see `distance_buckets`.
        bidirectional: see `T5Buckets`.
        **kwargs: of `keras.layers.Embedding`.

    Call arguments:
        inputs: positions of the queries (B|1, T) and of the keys (B|1, S), int.

    Returns:
        (B|1, N, T, S), to be added to attention scores.
    """

    def __init__(
        self,
        input_dim,
        output_dim,
        max_distance: int = 128,
        bidirectional: bool = True,
        **kwargs,
    ):
        super().__init__(input_dim, output_dim, **kwargs)
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.buckets = distance_buckets(input_dim, max_distance, bidirectional)

    def call(self, inputs):
        queries, keys = inputs
        distances = keys[:, None, :] - queries[:, :, None]
        reach = self.max_distance
        buckets = ops.take(self.buckets, ops.clip(distances, -reach, reach) + reach, axis=0)
        return ops.transpose(super().call(buckets), (0, 3, 1, 2))

    def compute_output_spec(self, inputs):
        queries, keys = inputs
        batch = keys.shape[0] if queries.shape[0] == 1 else queries.shape[0]
        shape = (batch, self.output_dim, queries.shape[1], keys.shape[1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "max_distance": self.max_distance,
            "bidirectional": self.bidirectional,
        }

"""What travels through one forward pass beside the hidden states."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass
class Context:
    """What one forward pass shares between its layers; never kept on the builder.

    Attributes:
        inputs: model inputs by name, each over the full length (B, S).
        mask: bool (B, 1, T|1, S).
        bias: finite float (B|1, N, T, S) or None.
        positions: (B|1, T) int.
        key_positions: (B|1, S) int.
        condition: (B, C) or (B, T, C), what conditional norms depend on, or None.
        relative: (R, D), vectors of relative positions, for the families that have them, or None.
        scores: attention scores of the last block, where the next one adds them.
        hidden_states: output of the embeddings and of each block, (B, T, D) each.
        attended: what the self-attention of each block looked at, (B, T, D), by block index.
        strict: whether a position does not see itself, and attention looks at `attended`: the
            query stream, see `two_stream`.
        rows: (T,) int, the rows this pass computes; None means all S.
        cache: keys and values by block index, replaced as the pass goes; None without caching.
        start: int scalar, first of `rows`.
        last: whether the heads are wanted for the last of the rows alone.
        source: (B, S, D), what an encoder made, for attention to look at.
        cross: mask, bias, scores and source of the cross-attention, in a decoder.
    """

    inputs: Mapping[str, Any]
    mask: Any = None
    bias: Any = None
    positions: Any = None
    key_positions: Any = None
    condition: Any = None
    relative: Any = None
    scores: Any = None
    hidden_states: list = dataclasses.field(default_factory=list)
    attended: dict[int, Any] = dataclasses.field(default_factory=dict)
    strict: bool = False
    rows: Any = None
    cache: dict[int, tuple[Any, Any]] | None = None
    start: Any = None
    last: bool = False
    source: Any = None
    cross: Context | None = None

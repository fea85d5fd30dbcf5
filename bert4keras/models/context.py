"""State of one forward pass besides the hidden states.

Legend: B batch, T query length, S key length, N heads, D hidden size, C width of a condition.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from .._types import KeyValues, Tensor


@dataclasses.dataclass(frozen=True)
class DecodingStep:
    """Part of a forward pass over some rows, with the keys and values of earlier rows.

    Attributes:
        query_index: (T,) int, indices of the rows to compute, in one piece.
        cache: keys and values by block index; replaced as the pass goes.
        last_only: apply the heads to the last of these rows only.
    """

    query_index: Tensor
    cache: dict[int, KeyValues]
    last_only: bool = False

    @property
    def cache_index(self) -> Tensor:
        """First of the rows to compute, int scalar."""
        return self.query_index[0]


@dataclasses.dataclass
class Collected:
    """Results of the blocks that are needed later.

    Attributes:
        hidden_states: output of the embeddings and of each block, (B, T, D) each.
        content_states: input of each block's self-attention, (B, T, D), by block index; the keys
            and values of a query stream come from it.
        scores: attention scores (B, N, T, S) of the last block, if the next one adds them.
    """

    hidden_states: list[Tensor] = dataclasses.field(default_factory=list)
    content_states: dict[int, Tensor] = dataclasses.field(default_factory=dict)
    scores: Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Context:
    """Inputs of one forward pass, and what all blocks share.

    Made for each pass with `inputs` only; `Transformer.prepare` computes the fields from `mask` on.

    Attributes:
        inputs: model inputs by name, each over the full length (B, S).
        step: in cached decoding, the rows to compute and the cache; None means all rows.
        query_stream: True in the second pass of a two-stream model, see `two_stream`.
        collected: results of the blocks; filled as the pass goes.
        mask: bool (B, 1, T|1, S), or in bands (B, 1, 1, T, c).
        bias: finite float (B|1, N, T, S), or None.
        positions: position ids of the queries (B|1, T).
        key_positions: position ids of the keys (B|1, S).
        condition: (B, C) or (B, T, C), input of conditional norms, or None.
        relative: (R, D), vectors of relative positions, for families that have them.
        source: (B, S, D), output of an encoder that attention takes keys and values from.
        cross: context of the cross-attention, in a decoder.
    """

    inputs: Mapping[str, Tensor]
    step: DecodingStep | None = None
    query_stream: bool = False
    collected: Collected = dataclasses.field(default_factory=Collected)
    mask: Tensor | None = None
    bias: Tensor | None = None
    positions: Tensor | None = None
    key_positions: Tensor | None = None
    condition: Tensor | None = None
    relative: Tensor | None = None
    source: Tensor | None = None
    cross: Context | None = None

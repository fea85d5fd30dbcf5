"""Position strategy of T5."""

from __future__ import annotations

import dataclasses

from ..._serialization import serializable
from ...layers import BucketEmbedding
from ...positions import LayerSpec, Position


@serializable
@dataclasses.dataclass(frozen=True)
class T5Buckets(Position):
    """T5's relative positions: a trained score bias per head and bucket of distances.

    All blocks share it. The config must have `relative_attention_num_buckets` and
    `relative_attention_max_distance`.

    Attributes:
        bidirectional: keys after the query have their own buckets; else they all share one.

    Source: Raffel et al., Exploring the Limits of Transfer Learning, 2019 (arXiv:1910.10683).
    """

    bidirectional: bool = True

    def bias(self, config):
        options = {
            "input_dim": config.relative_attention_num_buckets,
            "output_dim": config.num_attention_heads,
            "max_distance": config.relative_attention_max_distance,
            "bidirectional": self.bidirectional,
        }
        return LayerSpec(BucketEmbedding, "Embedding-Relative-Position", options)

"""Tags and entities in a text: heads, schemes, decoding and scores."""

from __future__ import annotations

from ..labelled_span import LabelledSpan
from .crf import (
    ConditionalRandomField,
)
from .global_pointer import (
    EfficientGlobalPointer,
    GlobalPointer,
)
from .memm import (
    MaximumEntropyMarkovModel,
)
from .metrics import (
    EntityScore,
    EntityScores,
    entity_scores,
    tag_scores,
)
from .schemes import (
    SCHEMES,
    allowed_transitions,
    decode_tags,
    encode_tags,
    find_scheme,
    split_tag,
    tag_names,
)
from .segmentation import (
    SegmentationScore,
    segmentation_scores,
)
from .viterbi import (
    best_paths,
    viterbi,
    viterbi_k_best,
)

__all__ = [
    "SCHEMES",
    "ConditionalRandomField",
    "EfficientGlobalPointer",
    "EntityScore",
    "EntityScores",
    "GlobalPointer",
    "LabelledSpan",
    "MaximumEntropyMarkovModel",
    "SegmentationScore",
    "allowed_transitions",
    "best_paths",
    "decode_tags",
    "encode_tags",
    "entity_scores",
    "find_scheme",
    "segmentation_scores",
    "split_tag",
    "tag_names",
    "tag_scores",
    "viterbi",
    "viterbi_k_best",
]

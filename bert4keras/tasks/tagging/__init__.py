"""Tags and entities in a text: heads, schemes, decoding and scores."""

from __future__ import annotations

from ..labelled_span import LabelledSpan
from .columns import (
    read_columns,
)
from .crf import (
    ConditionalRandomField,
)
from .entity import (
    Entity,
    TaggedText,
)
from .global_pointer import (
    EfficientGlobalPointer,
    GlobalPointer,
)
from .memm import (
    MaximumEntropyMarkovModel,
)
from .metrics import (
    EntityScores,
    entity_scores,
    tag_scores,
)
from .readers import (
    read_conllu,
    read_entities,
    read_segmented,
)
from .report import (
    LabelReport,
)
from .schemes import SCHEMES, allowed_transitions, decode_tags, encode_tags, find_scheme, tag_names
from .segmentation import (
    SegmentationScore,
    segmentation_scores,
)
from .segmenter import (
    WordSegmenter,
)
from .task import (
    Tagger,
)
from .viterbi import viterbi, viterbi_k_best

__all__ = [
    "SCHEMES",
    "ConditionalRandomField",
    "EfficientGlobalPointer",
    "Entity",
    "EntityScores",
    "GlobalPointer",
    "LabelReport",
    "LabelledSpan",
    "MaximumEntropyMarkovModel",
    "SegmentationScore",
    "TaggedText",
    "Tagger",
    "WordSegmenter",
    "allowed_transitions",
    "decode_tags",
    "encode_tags",
    "entity_scores",
    "find_scheme",
    "read_columns",
    "read_conllu",
    "read_entities",
    "read_segmented",
    "segmentation_scores",
    "tag_names",
    "tag_scores",
    "viterbi",
    "viterbi_k_best",
]

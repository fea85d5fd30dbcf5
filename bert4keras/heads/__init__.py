"""Task heads: layers on top of an encoder, each with a loss and a way to decode its scores."""

from __future__ import annotations

from .classification import MultiSampleDropout
from .crf import ConditionalRandomField
from .dgcnn import DGCNN, AttentionPooling, DilatedGatedConvolution, build_dgcnn, match_features
from .entity_linking import CandidateRanking
from .global_pointer import EfficientGlobalPointer, GlobalPointer
from .joint_linking import BiLSTM, DescriptionMatching, MentionPointer, build_joint_linking
from .memm import MaximumEntropyMarkovModel
from .nl2sql import NL2SQL
from .relation import CasRel, GPLinker
from .similarity import (
    Cosine,
    InBatchNegatives,
    SegmentMeans,
    contrastive_model,
    cosine_model,
    cross_encoder,
    joint_cosine_model,
    sentence_encoder,
    whitened_encoder,
)
from .span import SpanExtraction

__all__ = [
    "DGCNN",
    "NL2SQL",
    "AttentionPooling",
    "BiLSTM",
    "CandidateRanking",
    "CasRel",
    "ConditionalRandomField",
    "Cosine",
    "DescriptionMatching",
    "DilatedGatedConvolution",
    "EfficientGlobalPointer",
    "GPLinker",
    "GlobalPointer",
    "InBatchNegatives",
    "MaximumEntropyMarkovModel",
    "MentionPointer",
    "MultiSampleDropout",
    "SegmentMeans",
    "SpanExtraction",
    "build_dgcnn",
    "build_joint_linking",
    "contrastive_model",
    "cosine_model",
    "cross_encoder",
    "joint_cosine_model",
    "match_features",
    "sentence_encoder",
    "whitened_encoder",
]

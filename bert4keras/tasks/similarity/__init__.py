"""Vectors of sentences, their similarity, and search among them."""

from __future__ import annotations

from .correlation import (
    pearson,
    ranks,
    spearman,
)
from .index import (
    Neighbours,
    VectorFileError,
    VectorIndex,
    Whitening,
)
from .models import (
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

__all__ = [
    "Cosine",
    "InBatchNegatives",
    "Neighbours",
    "SegmentMeans",
    "VectorFileError",
    "VectorIndex",
    "Whitening",
    "contrastive_model",
    "cosine_model",
    "cross_encoder",
    "joint_cosine_model",
    "pearson",
    "ranks",
    "sentence_encoder",
    "spearman",
    "whitened_encoder",
]

"""Vectors of sentences, their similarity, search among them, and ranking of texts for a query."""

from __future__ import annotations

from .arrays import VectorFileError
from .compression import ProductQuantizer
from .correlation import pearson, ranks, spearman
from .encoder import SentenceEncoder
from .flow import FLOWS, FlowTransform, fit_flow, flow_encoder
from .functions import SIMILARITIES, pairwise_similarity, similarity_matrix
from .index import Neighbours, VectorIndex
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
from .pooling import SentencePooling
from .ranking_metrics import pair_scores, ranking_scores
from .readers import ScoredPair, read_scored_pairs
from .reranker import Ranked, Reranker
from .search import Neighbour, TextIndex
from .whitening import Whitening

__all__ = [
    "FLOWS",
    "SIMILARITIES",
    "Cosine",
    "FlowTransform",
    "InBatchNegatives",
    "Neighbour",
    "Neighbours",
    "ProductQuantizer",
    "Ranked",
    "Reranker",
    "ScoredPair",
    "SegmentMeans",
    "SentenceEncoder",
    "SentencePooling",
    "TextIndex",
    "VectorFileError",
    "VectorIndex",
    "Whitening",
    "contrastive_model",
    "cosine_model",
    "cross_encoder",
    "fit_flow",
    "flow_encoder",
    "joint_cosine_model",
    "pair_scores",
    "pairwise_similarity",
    "pearson",
    "ranking_scores",
    "ranks",
    "read_scored_pairs",
    "sentence_encoder",
    "similarity_matrix",
    "spearman",
    "whitened_encoder",
]

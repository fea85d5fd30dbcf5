"""Pretraining: raw text files, packed rows, objectives, and training that can be resumed."""

from __future__ import annotations

from .corpus import PretrainingCorpus
from .loop import SaveCheckpoint, pretrain
from .objectives import (
    PRETRAINING_OBJECTIVES,
    CausalLM,
    DistilledMaskedLM,
    MaskedLM,
    NextSentence,
    PermutationLM,
    PretrainingObjective,
    ReplacedTokens,
    SentenceOrder,
    SpanCorruption,
    UniLMMixture,
    reduce_token_vectors,
    register_objective,
)
from .optimization import learning_rate_schedule, pretraining_optimizer
from .packing import RowPacker
from .rows import TokenRows
from .stream import PretrainingStream, StreamPosition
from .throughput import measure_peak

__all__ = [
    "PRETRAINING_OBJECTIVES",
    "CausalLM",
    "DistilledMaskedLM",
    "MaskedLM",
    "NextSentence",
    "PermutationLM",
    "PretrainingCorpus",
    "PretrainingObjective",
    "PretrainingStream",
    "ReplacedTokens",
    "RowPacker",
    "SaveCheckpoint",
    "SentenceOrder",
    "SpanCorruption",
    "StreamPosition",
    "TokenRows",
    "UniLMMixture",
    "learning_rate_schedule",
    "measure_peak",
    "pretrain",
    "pretraining_optimizer",
    "reduce_token_vectors",
    "register_objective",
]

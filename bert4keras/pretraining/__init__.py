"""Pretraining: raw text files, packed rows, objectives, and training that can be resumed."""

from __future__ import annotations

from .objectives import (
    PRETRAINING_OBJECTIVES,
    CausalLM,
    MaskedLM,
    NextSentence,
    PermutationLM,
    PretrainingObjective,
    ReplacedTokens,
    SentenceOrder,
    SpanCorruption,
    UniLMMixture,
    register_objective,
)
from .rows import TokenRows

__all__ = [
    "PRETRAINING_OBJECTIVES",
    "CausalLM",
    "MaskedLM",
    "NextSentence",
    "PermutationLM",
    "PretrainingObjective",
    "ReplacedTokens",
    "SentenceOrder",
    "SpanCorruption",
    "TokenRows",
    "UniLMMixture",
    "register_objective",
]

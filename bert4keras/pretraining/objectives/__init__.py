"""Pretraining objectives, by the name that they have on the command line."""

from __future__ import annotations

from .base import (
    PRETRAINING_OBJECTIVES,
    PretrainingObjective,
    named_model,
    predictions,
    register_objective,
)
from .causal_lm import CausalLM
from .distillation import DistilledMaskedLM, reduce_token_vectors
from .masked_lm import MaskedLM
from .permutation_lm import PermutationLM
from .replaced_tokens import ReplacedTokens
from .sentence_pairs import NextSentence, SentenceOrder
from .span_corruption import SpanCorruption
from .unilm import UniLMMixture

__all__ = [
    "PRETRAINING_OBJECTIVES",
    "CausalLM",
    "DistilledMaskedLM",
    "MaskedLM",
    "NextSentence",
    "PermutationLM",
    "PretrainingObjective",
    "ReplacedTokens",
    "SentenceOrder",
    "SpanCorruption",
    "UniLMMixture",
    "named_model",
    "predictions",
    "reduce_token_vectors",
    "register_objective",
]

"""Pretraining objectives, by the name that they have on the command line."""

from __future__ import annotations

from .base import (
    PRETRAINING_OBJECTIVES,
    PretrainingObjective,
    named_model,
    register_objective,
)
from .masked_lm import MaskedLM

__all__ = [
    "PRETRAINING_OBJECTIVES",
    "MaskedLM",
    "PretrainingObjective",
    "named_model",
    "register_objective",
]

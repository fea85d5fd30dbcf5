"""Pretraining: raw text files, packed rows, objectives, and training that can be resumed."""

from __future__ import annotations

from .objectives import PRETRAINING_OBJECTIVES, MaskedLM, PretrainingObjective, register_objective
from .rows import TokenRows

__all__ = [
    "PRETRAINING_OBJECTIVES",
    "MaskedLM",
    "PretrainingObjective",
    "TokenRows",
    "register_objective",
]

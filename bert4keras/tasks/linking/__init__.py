"""Mentions in a text, linked to entities of a knowledge base."""

from __future__ import annotations

from .candidate_ranking import (
    CandidateRanking,
)
from .ccks2019 import (
    BiLSTM,
    DescriptionMatching,
    MentionPointer,
    build_joint_linking,
)
from .mentions import (
    AliasTrie,
    Mention,
    match_flags,
)
from .metrics import (
    linking_scores,
)

__all__ = [
    "AliasTrie",
    "BiLSTM",
    "CandidateRanking",
    "DescriptionMatching",
    "Mention",
    "MentionPointer",
    "build_joint_linking",
    "linking_scores",
    "match_flags",
]

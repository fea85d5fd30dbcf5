"""Mentions in a text, linked to entities of a knowledge base."""

from __future__ import annotations

from .candidate_ranking import CandidateRanking
from .ccks2019 import (
    BiLSTM,
    DescriptionMatching,
    MentionPointer,
    build_joint_linking,
)
from .ccks2019_task import CCKS2019Linker
from .knowledge_base import Entity, KnowledgeBase
from .linker import LinkedMention, Linker
from .mentions import AliasTrie, Mention, name_boundary_flags
from .metrics import linking_scores
from .readers import (
    read_aida,
    read_conll_documents,
    read_knowledge_base,
    read_linked_texts,
    read_word_vectors,
    write_knowledge_base,
)
from .samples import Document, Link, LinkedText
from .task import EntityLinker

__all__ = [
    "AliasTrie",
    "BiLSTM",
    "CCKS2019Linker",
    "CandidateRanking",
    "DescriptionMatching",
    "Document",
    "Entity",
    "EntityLinker",
    "KnowledgeBase",
    "Link",
    "LinkedMention",
    "LinkedText",
    "Linker",
    "Mention",
    "MentionPointer",
    "build_joint_linking",
    "linking_scores",
    "name_boundary_flags",
    "read_aida",
    "read_conll_documents",
    "read_knowledge_base",
    "read_linked_texts",
    "read_word_vectors",
    "write_knowledge_base",
]

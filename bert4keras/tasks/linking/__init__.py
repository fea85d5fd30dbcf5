"""Entity linking: mentions in a text, linked to entities of a knowledge base."""

from __future__ import annotations

from .candidate_ranking import CandidateRanking
from .ccks2019 import (
    BiLSTM,
    CCKS2019Matching,
    CCKS2019Pointer,
    build_ccks2019,
)
from .ccks2019_task import CCKS2019Linker
from .knowledge_base import KnowledgeBase, KnowledgeBaseEntity
from .linker import LinkedMention
from .mentions import Mention
from .metrics import linking_scores
from .readers import (
    read_aida,
    read_knowledge_base,
    read_linked_texts,
    read_word_vectors,
    write_knowledge_base,
)
from .samples import Document, Link, LinkedText
from .task import EntityLinker

__all__ = [
    "BiLSTM",
    "CCKS2019Linker",
    "CCKS2019Matching",
    "CCKS2019Pointer",
    "CandidateRanking",
    "Document",
    "EntityLinker",
    "KnowledgeBase",
    "KnowledgeBaseEntity",
    "Link",
    "LinkedMention",
    "LinkedText",
    "Mention",
    "build_ccks2019",
    "linking_scores",
    "read_aida",
    "read_knowledge_base",
    "read_linked_texts",
    "read_word_vectors",
    "write_knowledge_base",
]

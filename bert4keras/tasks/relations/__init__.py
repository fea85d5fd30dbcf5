"""Relations between entities, as triples."""

from __future__ import annotations

from .heads import CasRel, GPLinker
from .metrics import triple_scores
from .readers import RelationSample, read_relations
from .task import RelationExtractor
from .triples import Relation, RelationEntity, Triple

__all__ = [
    "CasRel",
    "GPLinker",
    "Relation",
    "RelationEntity",
    "RelationExtractor",
    "RelationSample",
    "Triple",
    "read_relations",
    "triple_scores",
]

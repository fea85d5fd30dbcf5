"""Relations between entities, as triples."""

from __future__ import annotations

from .heads import CasRel, GPLinker
from .metrics import triple_scores
from .readers import RelationSample, read_relations
from .task import RelationExtractor
from .triples import (
    Relation,
    RelationEntity,
    Triple,
    casrel_labels,
    decode_linker,
    find_triples,
    linker_pairs,
    token_triples,
)

__all__ = [
    "CasRel",
    "GPLinker",
    "Relation",
    "RelationEntity",
    "RelationExtractor",
    "RelationSample",
    "Triple",
    "casrel_labels",
    "decode_linker",
    "find_triples",
    "linker_pairs",
    "read_relations",
    "token_triples",
    "triple_scores",
]

"""Relations between entities, as triples."""

from __future__ import annotations

from .heads import (
    CasRel,
    GPLinker,
)
from .metrics import (
    triple_scores,
)
from .triples import (
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
    "Triple",
    "casrel_labels",
    "decode_linker",
    "find_triples",
    "linker_pairs",
    "token_triples",
    "triple_scores",
]

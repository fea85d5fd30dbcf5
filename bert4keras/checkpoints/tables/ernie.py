"""ERNIE: BERT's names and one more embedding."""

from __future__ import annotations

from ..table import Rename, WeightMap
from . import bert

HUGGINGFACE = bert.HUGGINGFACE.renamed(
    "ERNIE, Hugging Face names",
    (Rename(r"^bert\.", "ernie."),),
    root="ernie",
    roots=(),
    ignored=bert.huggingface_ignored("ernie"),
).extended(WeightMap("Embedding-Task/embeddings", "ernie.embeddings.task_type_embeddings.weight"))

TABLES = (HUGGINGFACE,)

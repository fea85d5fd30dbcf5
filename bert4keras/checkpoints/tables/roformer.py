"""RoFormer and its second version, and NEZHA: BERT's names less the position embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..table import Ignored, Rename
from . import bert

GOOGLE = bert.GOOGLE.without("Embedding-Position/*").renamed("RoFormer, Google names", ())
NEZHA_GOOGLE = GOOGLE.renamed("NEZHA, Google names", ())


def _sines_then_cosines(config: Any) -> np.ndarray:
    size = config.attention_head_size
    angles = np.arange(config.max_position)[:, None] / 10000 ** (np.arange(0, size, 2) / size)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype("float32")


HUGGINGFACE = GOOGLE.renamed(
    "RoFormer, Hugging Face names",
    (
        Rename(r"^bert/encoder/embedding_hidden_mapping_in", "roformer/embeddings_project"),
        Rename(r"^bert/", "roformer/"),
        *bert.TO_HUGGINGFACE,
    ),
    format="huggingface",
    root="roformer",
    roots=(),
    ignored=(
        *bert.huggingface_ignored("roformer"),
        Ignored(
            "roformer.encoder.embed_positions.weight",
            "constant sines of the positions",
            constant=_sines_then_cosines,
        ),
    ),
)

# No biases, no gains; the head is the embedding table alone.
V2_GOOGLE = GOOGLE.without("*/bias", "*/gamma", "*/beta", "Pooler-*", "NSP-*", "MLM-*").renamed(
    "RoFormerV2, Google names", ()
)

TABLES = (HUGGINGFACE, GOOGLE)
V2_TABLES = (V2_GOOGLE,)
NEZHA_TABLES = (NEZHA_GOOGLE,)

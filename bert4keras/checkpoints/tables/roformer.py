"""RoFormer and its second version, and NEZHA: BERT's names less the position embeddings."""

from __future__ import annotations

from bert4keras.checkpoints.table import Ignored, Rename
from bert4keras.checkpoints.tables import bert

GOOGLE = bert.GOOGLE.without("Embedding-Position/*").renamed("RoFormer, Google names", ())
NEZHA_GOOGLE = GOOGLE.renamed("NEZHA, Google names", ())

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
        Ignored("roformer.encoder.embed_positions.weight", "constant sines of the positions"),
    ),
)

# No biases, no gains; the head is the embedding table alone.
V2_GOOGLE = GOOGLE.without("*/bias", "*/gamma", "*/beta", "Pooler-*", "NSP-*", "MLM-*").renamed(
    "RoFormerV2, Google names", ()
)

TABLES = (HUGGINGFACE, GOOGLE)
V2_TABLES = (V2_GOOGLE,)
NEZHA_TABLES = (NEZHA_GOOGLE,)

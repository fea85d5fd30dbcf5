"""RoBERTa and XLM-R: BERT's names under another root, with another head."""

from __future__ import annotations

from ..table import Rename
from . import bert
from .common import tied

HUGGINGFACE = bert.GOOGLE.without("NSP-Proba/*", "Embedding-Mapping/*").renamed(
    "RoBERTa, Hugging Face names",
    (
        Rename(r"^bert/", "roberta/"),
        Rename(r"^cls/predictions/transform/LayerNorm", "lm_head/layer_norm"),
        Rename(r"^cls/predictions/(transform/)?", "lm_head/"),
        *bert.TO_HUGGINGFACE,
    ),
    format="huggingface",
    root="roberta",
    roots=(),
    ignored=(
        *bert.huggingface_ignored("roberta")[:2],
        tied(
            "lm_head.decoder.weight",
            "roberta.embeddings.word_embeddings.weight",
            "lm_head.bias",
            "tied copy of the word embeddings",
        ),
        tied("lm_head.decoder.bias", "lm_head.bias", "lm_head.bias", "tied copy of the bias"),
    ),
)

TABLES = (HUGGINGFACE,)

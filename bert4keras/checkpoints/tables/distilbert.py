"""DistilBERT: BERT without segments and pooler, under names of its own."""

from __future__ import annotations

from ..table import Rename
from . import bert
from .common import tied

_BLOCK = "distilbert/transformer/layer_{i}"
HUGGINGFACE = bert.GOOGLE.without(
    "Embedding-Segment/*", "Embedding-Mapping/*", "Pooler-Dense/*", "NSP-Proba/*"
).renamed(
    "DistilBERT, Hugging Face names",
    (
        Rename(r"^bert/encoder/layer_\{i\}", _BLOCK),
        Rename(r"^bert/", "distilbert/"),
        Rename(r"/attention/self/query/", "/attention/q_lin/"),
        Rename(r"/attention/self/key/", "/attention/k_lin/"),
        Rename(r"/attention/self/value/", "/attention/v_lin/"),
        Rename(r"/attention/output/dense/", "/attention/out_lin/"),
        Rename(r"/attention/output/LayerNorm/", "/sa_layer_norm/"),
        Rename(r"/intermediate/dense/", "/ffn/lin1/"),
        Rename(r"/output/dense/", "/ffn/lin2/"),
        Rename(r"/output/LayerNorm/", "/output_layer_norm/"),
        Rename(r"^cls/predictions/transform/dense", "vocab_transform"),
        Rename(r"^cls/predictions/transform/LayerNorm", "vocab_layer_norm"),
        Rename(r"^cls/predictions/output_bias", "vocab_projector/output_bias"),
        *bert.TO_HUGGINGFACE,
    ),
    format="huggingface",
    root="distilbert",
    roots=(),
    ignored=(
        tied(
            "vocab_projector.weight",
            "distilbert.embeddings.word_embeddings.weight",
            "vocab_projector.bias",
            "tied copy of the word embeddings",
        ),
        bert.huggingface_ignored("distilbert")[0],
    ),
)

TABLES = (HUGGINGFACE,)

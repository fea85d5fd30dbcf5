"""ALBERT: one block's names, from Google, Hugging Face and the first Chinese release."""

from __future__ import annotations

from ..table import Rename, WeightMap
from . import bert
from .common import tied

_INNER = "bert/encoder/transformer/group_0/inner_group_0"
_TO_SHARED = (
    Rename(r"bert/encoder/layer_\{i\}/attention/output/LayerNorm", f"{_INNER}/LayerNorm"),
    Rename(r"bert/encoder/layer_\{i\}/output/LayerNorm", f"{_INNER}/LayerNorm_1"),
    Rename(r"bert/encoder/layer_\{i\}/attention", f"{_INNER}/attention_1"),
    Rename(r"bert/encoder/layer_\{i\}/intermediate", f"{_INNER}/ffn_1/intermediate"),
    Rename(r"bert/encoder/layer_\{i\}/output", f"{_INNER}/ffn_1/intermediate/output"),
)

# Every block from the tensors of the shared one: to load, not to save.
UNSHARED_GOOGLE = bert.GOOGLE.renamed("ALBERT to be unshared, Google names", _TO_SHARED)
GOOGLE = UNSHARED_GOOGLE.with_weights("ALBERT, Google names", r"^Transformer-\{i\}", "Transformer")

_LAYER = "albert/encoder/albert_layer_groups.0.albert_layers.0"
_TO_HUGGINGFACE = (
    Rename(r"^bert/pooler/dense", "albert/pooler"),
    Rename(r"^bert/", "albert/"),
    Rename(r"/encoder/transformer/group_0/inner_group_0", f"/{_LAYER.partition('/')[2]}"),
    Rename(r"/LayerNorm_1/", "/full_layer_layer_norm/"),
    Rename(r"\.0/LayerNorm/", ".0/attention/LayerNorm/"),
    Rename(r"/attention_1/self/", "/attention/"),
    Rename(r"/attention_1/output/dense", "/attention/dense"),
    Rename(r"/ffn_1/intermediate/output/dense", "/ffn_output"),
    Rename(r"/ffn_1/intermediate/dense", "/ffn"),
    Rename(r"^cls/predictions/(transform/)?", "predictions/"),
    Rename(r"^cls/seq_relationship", "sop_classifier/classifier"),
    *bert.TO_HUGGINGFACE,
)
_TIED = (
    tied(
        "predictions.decoder.weight",
        "albert.embeddings.word_embeddings.weight",
        "predictions.bias",
        "tied copy of the word embeddings",
    ),
    tied(
        "predictions.decoder.bias",
        "predictions.bias",
        "predictions.bias",
        "tied copy of the output bias",
    ),
    bert.huggingface_ignored("albert")[0],
)
_NAMES = {"format": "huggingface", "ignored": _TIED, "root": "albert", "roots": ()}
HUGGINGFACE = GOOGLE.renamed("ALBERT, Hugging Face names", _TO_HUGGINGFACE, **_NAMES)
UNSHARED_HUGGINGFACE = UNSHARED_GOOGLE.renamed(
    "ALBERT to be unshared, Hugging Face names", _TO_HUGGINGFACE, **_NAMES
)

# The first Chinese release, of another making: https://github.com/brightmart/albert_zh
CHINESE = (
    bert.GOOGLE.renamed("ALBERT of albert_zh", (Rename(r"/layer_\{i\}/", "/layer_shared/"),))
    .with_weights("ALBERT of albert_zh", r"^Transformer-\{i\}", "Transformer")
    .without("Embedding-Mapping/*")
    .extended(WeightMap("Embedding-Token/projection/kernel", "bert/embeddings/word_embeddings_2"))
)

TABLES = (HUGGINGFACE, GOOGLE)
UNSHARED_TABLES = (*bert.TABLES, UNSHARED_HUGGINGFACE, UNSHARED_GOOGLE)
CHINESE_TABLES = (CHINESE,)

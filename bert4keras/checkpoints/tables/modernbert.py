"""ModernBERT's names, with its fused projections."""

from __future__ import annotations

from ..table import IDENTITY, TRANSPOSE, TensorTransform, WeightMap, WeightTable, slice_of
from .common import tied

_ATTENTION, _FEED = "Transformer-{i}-MultiHeadSelfAttention", "Transformer-{i}-FeedForward"
_THEIRS = "model.layers.{i}"


def _dense(weight: str, tensor: str, slice: TensorTransform = IDENTITY) -> tuple[WeightMap, ...]:
    return (
        WeightMap(f"{weight}/kernel", f"{tensor}.weight", slice.then(TRANSPOSE)),
        WeightMap(f"{weight}/bias", f"{tensor}.bias", slice),
    )


def _norm(weight: str, tensor: str) -> tuple[WeightMap, ...]:
    return (
        WeightMap(f"{weight}/gamma", f"{tensor}.weight"),
        WeightMap(f"{weight}/beta", f"{tensor}.bias"),
    )


HUGGINGFACE = WeightTable(
    "ModernBERT, Hugging Face names",
    (
        WeightMap(
            "Embedding-Token/embeddings", "model.embeddings.tok_embeddings.weight", per_token=True
        ),
        *_norm("Embedding-Norm", "model.embeddings.norm"),
        *(
            row
            for index, name in enumerate(("query", "key", "value"))
            for row in _dense(f"{_ATTENTION}/{name}", f"{_THEIRS}.attn.Wqkv", slice_of(index, 3, 0))
        ),
        *_dense(f"{_ATTENTION}/output", f"{_THEIRS}.attn.Wo"),
        *_norm(f"{_ATTENTION}-Norm", f"{_THEIRS}.attn_norm"),
        *_dense(f"{_FEED}/inner", f"{_THEIRS}.mlp.Wi", slice_of(0, 2, 0)),
        *_dense(f"{_FEED}/gate", f"{_THEIRS}.mlp.Wi", slice_of(1, 2, 0)),
        *_dense(f"{_FEED}/output", f"{_THEIRS}.mlp.Wo"),
        *_norm(f"{_FEED}-Norm", f"{_THEIRS}.mlp_norm"),
        *_norm("Output-Norm", "model.final_norm"),
        *_dense("MLM-Dense", "head.dense"),
        *_norm("MLM-Norm", "head.norm"),
        WeightMap("MLM-Bias/bias", "decoder.bias", per_token=True),
    ),
    (
        tied(
            "decoder.weight",
            "model.embeddings.tok_embeddings.weight",
            "head.dense.weight",
            "tied copy of the word embeddings",
        ),
    ),
    format="huggingface",
    root="model",
    roots=(),
)

TABLES = (HUGGINGFACE,)

"""GPT, GPT-2 and GPT2-ML: TensorFlow names and Hugging Face's, with its fused projections."""

from __future__ import annotations

from ..table import IDENTITY, Ignored, Rename, TensorTransform, WeightMap, WeightTable, slice_of
from . import bert
from .common import NORM, TRAINING_STATE, rows, tied

_BLOCK, _FEED = "Transformer-{i}-MultiHeadSelfAttention", "Transformer-{i}-FeedForward"

GPT_GOOGLE = bert.GOOGLE.without("Embedding-Norm/*", "Pooler-*", "NSP-*", "MLM-*").renamed(
    "GPT, TensorFlow names",
    (Rename(r"^bert/encoder/", "gpt/transformer/"), Rename(r"^bert/", "gpt/")),
    root="gpt",
    roots=(),
)
GPT2_GOOGLE = GPT_GOOGLE.renamed(
    "GPT-2, TensorFlow names", (Rename("/output/LayerNorm", "/input/LayerNorm"),)
).extended(*rows("Output-Norm", "gpt/output/LayerNorm", NORM))


def _dense(
    weight: str, tensor: str, transforms: tuple[TensorTransform, TensorTransform]
) -> tuple[WeightMap, ...]:
    kernel, bias = transforms
    return (
        WeightMap(f"{weight}/kernel", f"{tensor}.weight", kernel),
        WeightMap(f"{weight}/bias", f"{tensor}.bias", bias),
    )


def _norm(weight: str, tensor: str) -> tuple[WeightMap, ...]:
    return (
        WeightMap(f"{weight}/gamma", f"{tensor}.weight"),
        WeightMap(f"{weight}/beta", f"{tensor}.bias"),
    )


_PLAIN = (IDENTITY, IDENTITY)  # these kernels are (in, out), unlike all others there
_THEIRS = "transformer.h.{i}"
_HUGGINGFACE_BLOCK = (
    *(
        row
        for index, name in enumerate(("query", "key", "value"))
        for row in _dense(
            f"{_BLOCK}/{name}",
            f"{_THEIRS}.attn.c_attn",
            (slice_of(index, 3, 1), slice_of(index, 3, 0)),
        )
    ),
    *_dense(f"{_BLOCK}/output", f"{_THEIRS}.attn.c_proj", _PLAIN),
    *_norm(f"{_BLOCK}-Norm", f"{_THEIRS}.ln_1"),
    *_dense(f"{_FEED}/inner", f"{_THEIRS}.mlp.c_fc", _PLAIN),
    *_dense(f"{_FEED}/output", f"{_THEIRS}.mlp.c_proj", _PLAIN),
    *_norm(f"{_FEED}-Norm", f"{_THEIRS}.ln_2"),
)


def _huggingface(name: str, tokens: str, positions: str, *more: WeightMap) -> WeightTable:
    return WeightTable(
        name,
        (
            WeightMap("Embedding-Token/embeddings", f"transformer.{tokens}.weight", per_token=True),
            WeightMap("Embedding-Position/embeddings", f"transformer.{positions}.weight"),
            *_HUGGINGFACE_BLOCK,
            *more,
        ),
        (
            Ignored("transformer.h.*.attn.bias", "constant causal mask"),
            Ignored("transformer.h.*.attn.masked_bias", "constant -1e4"),
            tied(
                "lm_head.weight",
                f"transformer.{tokens}.weight",
                f"transformer.{tokens}.weight",
                "tied copy of the word embeddings",
            ),
        ),
        format="huggingface",
        root="transformer",
        roots=(),
        always_rooted=True,
    )


GPT_HUGGINGFACE = _huggingface("GPT, Hugging Face names", "tokens_embed", "positions_embed")
GPT2_HUGGINGFACE = _huggingface(
    "GPT-2, Hugging Face names", "wte", "wpe", *_norm("Output-Norm", "transformer.ln_f")
)

_LAYER = "newslm/layer{i:02d}"
GPT2_ML = WeightTable(
    "GPT2-ML, TensorFlow names",
    (
        WeightMap("Embedding-Token/embeddings", "newslm/embeddings/word_embed", per_token=True),
        WeightMap("Embedding-Position/embeddings", "newslm/embeddings/pos_embed"),
        *rows("Embedding-Norm", "newslm/embeddings/LayerNorm_embed_norm", NORM),
        *rows(f"{_BLOCK}/query", f"{_LAYER}/query_layer"),
        *rows(f"{_BLOCK}/key", f"{_LAYER}/key_layer"),
        *rows(f"{_BLOCK}/value", f"{_LAYER}/value_layer"),
        *rows(f"{_BLOCK}/output", f"{_LAYER}/context_projection_layer"),
        *rows(f"{_FEED}-Norm-0", f"{_LAYER}/LayerNorm_mlp_ln0", NORM),
        *rows(f"{_FEED}/inner", f"{_LAYER}/intermediate"),
        *rows(f"{_FEED}/output", f"{_LAYER}/output"),
        *rows(f"{_FEED}-Norm-1", f"{_LAYER}/LayerNorm_mlp_ln1", NORM),
    ),
    TRAINING_STATE,
    root="newslm",
    roots=(),
)

GPT_TABLES = (GPT_HUGGINGFACE, GPT_GOOGLE)
GPT2_TABLES = (GPT2_HUGGINGFACE, GPT2_GOOGLE)
GPT2_ML_TABLES = (GPT2_ML,)

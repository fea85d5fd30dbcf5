"""Tensor names of T5 1.0, T5.1.1 and mT5, in their TensorFlow code and in transformers."""

from __future__ import annotations

from ...checkpoints.entries import TRAINING_STATE, tied
from ...checkpoints.table import Ignored, Rename, WeightMap, WeightTable
from ...checkpoints.tensor_transform import TRANSPOSE

_CROSS_BIAS = "position bias of the cross-attention, which no T5 uses"


def _attention(ours: str, theirs: str) -> tuple[WeightMap, ...]:
    parts = {"query": "q", "key": "k", "value": "v", "output": "o"}
    return tuple(
        WeightMap(f"{ours}/{part}/kernel", f"{theirs}/{name}") for part, name in parts.items()
    )


def _stack(side: str, *attentions: tuple[str, str]) -> tuple[WeightMap, ...]:
    """Return the rows of one side, whose blocks are attention layers and a feed-forward layer.

    Args:
        side: `"Encoder"` or `"Decoder"`.
        *attentions: (our name, their name) of each attention layer of a block.
    """
    ours, theirs = f"{side}-Transformer-{{i}}", f"{side.lower()}/block_{{i:03d}}"
    blocks: list[WeightMap] = []
    for number, (part, name) in enumerate(attentions):
        layer = f"{theirs}/layer_{number:03d}"
        blocks += _attention(f"{ours}-{part}", f"{layer}/{name}")
        blocks.append(WeightMap(f"{ours}-{part}-Norm/scale", f"{layer}/layer_norm/scale"))
    layer = f"{theirs}/layer_{len(attentions):03d}"
    return (
        *blocks,
        WeightMap(f"{ours}-FeedForward/inner/kernel", f"{layer}/DenseReluDense/wi/kernel"),
        WeightMap(f"{ours}-FeedForward/output/kernel", f"{layer}/DenseReluDense/wo/kernel"),
        WeightMap(f"{ours}-FeedForward-Norm/scale", f"{layer}/layer_norm/scale"),
        # All blocks use the bias of the first one.
        WeightMap(
            f"{side}-Embedding-Relative-Position/embeddings",
            f"{side.lower()}/block_000/layer_000/SelfAttention/relative_attention_bias",
            TRANSPOSE,
        ),
        WeightMap(f"{side}-Output-Norm/scale", f"{side.lower()}/final_layer_norm/scale"),
    )


_SELF, _CROSS = (
    ("MultiHeadSelfAttention", "SelfAttention"),
    ("MultiHeadCrossAttention", "EncDecAttention"),
)

GOOGLE = WeightTable(
    "T5 1.0, TensorFlow names",
    (
        WeightMap("Embedding-Token/embeddings", "shared/embedding", per_token=True),
        *_stack("Encoder", _SELF),
        *_stack("Decoder", _SELF, _CROSS),
        WeightMap(
            "Decoder-Output-LM/embeddings", "decoder/logits/kernel", TRANSPOSE, per_token=True
        ),
    ),
    (
        *TRAINING_STATE,
        Ignored("*_slot_*", "state of the optimizer that wrote the checkpoint"),
        Ignored("*/EncDecAttention/relative_attention_bias", _CROSS_BIAS),
    ),
    root="",
    roots=(),
)


def _gated(table: WeightTable, name: str) -> WeightTable:
    """Derive the table of gated feed-forward layers: `wi_0` and `wi_1` instead of `wi`."""
    gates = tuple(
        WeightMap(row.weight.replace("/inner/", "/gate/"), row.tensor, row.transform)
        for row in table.rows
        if "/inner/" in row.weight
    )
    inner = table.renamed(name, (Rename(r"\bwi\b", "wi_0"),))
    return inner.extended(
        *WeightTable(name, gates).renamed(name, (Rename(r"\bwi\b", "wi_1"),)).rows
    )


_GATED_GOOGLE = _gated(GOOGLE, "T5.1.1, TensorFlow names")
MT5_GOOGLE = _GATED_GOOGLE.renamed(
    "mT5, TensorFlow names", (Rename(r"/(final_)?layer_norm/", "/rms_norm/"),)
)

HUGGINGFACE = GOOGLE.renamed(
    "T5 1.0, Hugging Face names",
    (
        Rename(r"/block_\{i:03d\}/layer_00", "/block/{i}/layer/"),
        Rename(r"/block_000/layer_000/", "/block/0/layer/0/"),
        Rename(r"/relative_attention_bias$", r"\g<0>/weight", TRANSPOSE),
        Rename(r"Attention/[qkvo]$", r"\g<0>/weight", TRANSPOSE),
        Rename(r"^decoder/logits/kernel$", "lm_head/weight", TRANSPOSE),
        Rename(r"/kernel$", "/weight", TRANSPOSE),
        Rename(r"/(scale|embedding)$", "/weight"),
        Rename(r"/", "."),
    ),
    format="huggingface",
    ignored=(
        *(
            tied(
                f"{side}.embed_tokens.weight",
                "shared.weight",
                "shared.weight",
                "tied copy of the word embeddings",
            )
            for side in ("encoder", "decoder")
        ),
        Ignored("*.EncDecAttention.relative_attention_bias.weight", _CROSS_BIAS),
    ),
)
_GATED_HUGGINGFACE = _gated(HUGGINGFACE, "T5.1.1, Hugging Face names")

TABLES = (HUGGINGFACE, _GATED_HUGGINGFACE, GOOGLE, _GATED_GOOGLE)
MT5_TABLES = (_GATED_HUGGINGFACE, MT5_GOOGLE)

"""DeBERTa's second and third version: BERT's names and those of the relative positions."""

from __future__ import annotations

from ..table import TRANSPOSE, Ignored, Rename, TensorTransform, WeightMap
from . import bert

_ROOT = "deberta.encoder"
_OURS = "Transformer-{i}-MultiHeadSelfAttention"
_THEIRS = f"{_ROOT}.layer.{{i}}.attention.self"


def _reverse_axes(array):
    if array.ndim != 3:
        raise ValueError(f"a convolution's kernel has three axes, not shape {array.shape}")
    return array.transpose(2, 1, 0)


CONVOLUTION = TensorTransform(
    "reverse axes", _reverse_axes, _reverse_axes
)  # torch: (out, in, width)

HUGGINGFACE = (
    bert.GOOGLE.without("Embedding-Mapping/*", "Pooler-Dense/*", "NSP-Proba/*")
    .renamed(
        "DeBERTa-v2, Hugging Face names",
        (
            Rename(r"^bert/", "deberta/"),
            Rename(r"/self/(query|key|value)/", r"/self/\1_proj/"),
            *bert.TO_HUGGINGFACE,
        ),
        format="huggingface",
        root="deberta",
        roots=(),
        ignored=(
            *bert.huggingface_ignored("deberta"),
            Ignored("mask_predictions.*", "the discriminator of the training"),
        ),
    )
    .extended(
        WeightMap("Embedding-Relative/embeddings", f"{_ROOT}.rel_embeddings.weight"),
        WeightMap("Embedding-Relative-Norm/gamma", f"{_ROOT}.LayerNorm.weight"),
        WeightMap("Embedding-Relative-Norm/beta", f"{_ROOT}.LayerNorm.bias"),
        *(
            row
            for name in ("key", "query")
            for row in (
                WeightMap(
                    f"{_OURS}/position_{name}/kernel",
                    f"{_THEIRS}.pos_{name}_proj.weight",
                    TRANSPOSE,
                ),
                WeightMap(f"{_OURS}/position_{name}/bias", f"{_THEIRS}.pos_{name}_proj.bias"),
            )
        ),
        WeightMap("Transformer-0-Convolution/kernel", f"{_ROOT}.conv.conv.weight", CONVOLUTION),
        WeightMap("Transformer-0-Convolution/bias", f"{_ROOT}.conv.conv.bias"),
        WeightMap("Transformer-0-Convolution-Norm/gamma", f"{_ROOT}.conv.LayerNorm.weight"),
        WeightMap("Transformer-0-Convolution-Norm/beta", f"{_ROOT}.conv.LayerNorm.bias"),
    )
)
# The authors' own head computes the same under other names.
AUTHORS = HUGGINGFACE.renamed(
    "DeBERTa-v3, the authors' names of its head",
    (Rename(r"^cls\.predictions\.(transform\.)?", "lm_predictions.lm_head."),),
    ignored=tuple(entry for entry in HUGGINGFACE.ignored if not entry.copy_of),
)

TABLES = (HUGGINGFACE, AUTHORS)

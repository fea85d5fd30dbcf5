"""ALBERT: all blocks share their weights, and embeddings are narrower than the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from .._schema import Only, Rate, Size
from ..checkpoints.entries import tied
from ..checkpoints.table import Rename, WeightMap
from ..config import TransformerConfig
from ..layers import FactorizedTokenEmbedding
from ..models.task_heads import TaskHead, TaskHeads
from ..models.transformer import Transformer
from ..registry import register_model
from ..tokenizers.defaults import TokenizerDefaults, special_tokens
from . import bert


@dataclasses.dataclass(frozen=True)
class ALBERTConfig(TransformerConfig):
    """ALBERT's defaults. Several groups, or several blocks in a group, are not supported."""

    embedding_size: Size | None = 128
    dropout_rate: Rate = 0.0
    attention_dropout_rate: Rate = 0.0

    ignored_keys: ClassVar[frozenset] = frozenset({"classifier_dropout_prob"})
    unsupported: ClassVar[dict] = {
        "down_scale_factor": Only(1),
        "gap_size": Only(0),
        "net_structure_type": Only(0),
        "num_memory_blocks": Only(0),
    }
    reads_is_decoder: ClassVar[bool] = False  # as in transformers


@dataclasses.dataclass(frozen=True)
class ALBERTUnsharedConfig(ALBERTConfig):
    """ALBERT's defaults, for a model that is saved as a BERT."""

    export_as: ClassVar[str] = "bert"


_INNER = "bert/encoder/transformer/group_0/inner_group_0"
_TO_SHARED = (
    Rename(r"bert/encoder/layer_\{i\}/attention/output/LayerNorm", f"{_INNER}/LayerNorm"),
    Rename(r"bert/encoder/layer_\{i\}/output/LayerNorm", f"{_INNER}/LayerNorm_1"),
    Rename(r"bert/encoder/layer_\{i\}/attention", f"{_INNER}/attention_1"),
    Rename(r"bert/encoder/layer_\{i\}/intermediate", f"{_INNER}/ffn_1/intermediate"),
    Rename(r"bert/encoder/layer_\{i\}/output", f"{_INNER}/ffn_1/intermediate/output"),
)

# All blocks read the tensors of the shared one. Such a table can load, but not save.
_UNSHARED_GOOGLE = bert.GOOGLE.renamed("ALBERT to be unshared, Google names", _TO_SHARED)
GOOGLE = _UNSHARED_GOOGLE.with_weights("ALBERT, Google names", r"^Transformer-\{i\}", "Transformer")

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
HUGGINGFACE = GOOGLE.renamed(
    "ALBERT, Hugging Face names",
    _TO_HUGGINGFACE,
    format="huggingface",
    ignored=_TIED,
    root="albert",
    roots=(),
)
_UNSHARED_HUGGINGFACE = _UNSHARED_GOOGLE.renamed(
    "ALBERT to be unshared, Hugging Face names",
    _TO_HUGGINGFACE,
    format="huggingface",
    ignored=_TIED,
    root="albert",
    roots=(),
)

# The first Chinese release, trained with other code: https://github.com/brightmart/albert_zh
CHINESE = (
    bert.GOOGLE.renamed("ALBERT of albert_zh", (Rename(r"/layer_\{i\}/", "/layer_shared/"),))
    .with_weights("ALBERT of albert_zh", r"^Transformer-\{i\}", "Transformer")
    .without("Embedding-Mapping/*")
    .extended(WeightMap("Embedding-Token/projection/kernel", "bert/embeddings/word_embeddings_2"))
)

TABLES = (HUGGINGFACE, GOOGLE)
_UNSHARED_TABLES = (*bert.TABLES, _UNSHARED_HUGGINGFACE, _UNSHARED_GOOGLE)
_CHINESE_TABLES = (CHINESE,)


def _sentencepiece_options(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "do_lower_case": config.get("do_lower_case", True),
        "strip_accents": not config.get("keep_accents", False),
        "plain_quotes": True,
    }


TOKENIZER = TokenizerDefaults(
    "AlbertTokenizer",
    special_tokens("[CLS]", "[SEP]", "<pad>", "<unk>", "[MASK]"),
    _sentencepiece_options,
)


class _OneBlock(Transformer):
    """Base of models whose blocks share their layers, which have the same name at every depth."""

    config_class = ALBERTConfig
    config: ALBERTConfig

    def layer_name(self, index, part):
        return f"Transformer-{part}"


HEADS = TaskHeads(TaskHead("classifier", "pooler"))


@register_model("albert", tables=TABLES, tokenizer=TOKENIZER, heads=HEADS)
class ALBERT(_OneBlock):
    """BERT with shared blocks and factorized embeddings.

    Source: Lan et al., ALBERT, 2019 (arXiv:1909.11942).
    """


@register_model("albert_unshared", tables=_UNSHARED_TABLES)
class ALBERTUnshared(Transformer):
    """ALBERT whose blocks start from the shared one and are then trained separately.

    It is saved as a BERT with a factorized embedding.
    """

    config_class = ALBERTUnsharedConfig
    config: ALBERTUnsharedConfig


@register_model("albert_zh", tables=_CHINESE_TABLES)
class ALBERTChinese(_OneBlock):
    """The first Chinese ALBERT, which projects token vectors before adding segments and positions.

    Source: https://github.com/brightmart/albert_zh (checkpoints without `google` in the name).
    """

    @property
    def embedding_width(self):
        return self.config.hidden_size

    def token_embedding(self) -> tuple[type, dict[str, Any]]:
        layer = FactorizedTokenEmbedding
        _, options = super().token_embedding()
        return layer, {
            **options,
            "output_dim": self.config.embedding_size,
            "width": self.config.hidden_size,
        }

"""DistilBERT: BERT with half the blocks and without segments."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from .._schema import Count
from ..checkpoints.entries import tied
from ..checkpoints.table import Rename
from ..config import TransformerConfig
from ..models.task_heads import TaskHead, TaskHeads
from ..models.transformer import Transformer
from ..registry import register_model
from ..tokenizers.defaults import TokenizerDefaults
from . import bert


@dataclasses.dataclass(frozen=True)
class DistilBERTConfig(TransformerConfig):
    """DistilBERT's keys and defaults."""

    segment_vocab_size: Count = 0

    aliases: ClassVar[dict] = {
        "dim": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "hidden_dim": "intermediate_size",
        "activation": "hidden_act",
        "dropout": "dropout_rate",
        "attention_dropout": "attention_dropout_rate",
    }
    reads_is_decoder: ClassVar[bool] = False  # as in transformers
    # `sinusoidal_pos_embds` changes nothing: checkpoints store sinusoids like trained positions.
    ignored_keys: ClassVar[frozenset] = frozenset(
        "qa_dropout seq_classif_dropout sinusoidal_pos_embds".split()
    )


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


TOKENIZER = TokenizerDefaults("DistilBertTokenizer", bert_vocab=True)


HEADS = TaskHeads(TaskHead("classifier", "first", "pre_classifier", "relu"))


@register_model(
    "distilbert", tables=TABLES, tokenizer=TOKENIZER, heads=HEADS, class_prefix="DistilBert"
)
class DistilBERT(Transformer):
    """BERT, distilled into half its blocks.

    Source: Sanh et al., DistilBERT, 2019 (arXiv:1910.01108).
    """

    config_class = DistilBERTConfig
    config: DistilBERTConfig

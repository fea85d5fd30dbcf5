"""DistilBERT: half of BERT's blocks, no segments."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from .._schema import Count
from ..config import TransformerConfig
from ..models.transformer import Transformer
from ..registry import register_model


@dataclasses.dataclass(frozen=True)
class DistilBERTConfig(TransformerConfig):
    """DistilBERT's names for our fields, and its defaults."""

    segment_vocab_size: Count = 0

    aliases: ClassVar = {
        "dim": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "hidden_dim": "intermediate_size",
        "activation": "hidden_act",
        "dropout": "dropout_rate",
        "attention_dropout": "attention_dropout_rate",
    }
    # Sines, where asked for, are stored in the checkpoint like trained positions.
    reads_is_decoder: ClassVar = False  # nor does transformers
    ignored_keys: ClassVar = frozenset(
        "qa_dropout seq_classif_dropout sinusoidal_pos_embds".split()
    )


@register_model("distilbert")
class DistilBERT(Transformer):
    """BERT, distilled.

    Source: Sanh et al., DistilBERT, 2019 (arXiv:1910.01108).
    """

    config_class = DistilBERTConfig

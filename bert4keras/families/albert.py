"""ALBERT: one block for all depths, and embeddings narrower than the model."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from .._schema import Only, Rate, Size
from ..config import TransformerConfig
from ..layers import FactorizedTokenEmbedding
from ..models.transformer import Transformer
from ..registry import register_model


@dataclasses.dataclass(frozen=True)
class ALBERTConfig(TransformerConfig):
    """ALBERT's defaults. Models of several groups or inner groups of blocks are refused."""

    embedding_size: Size | None = 128
    dropout_rate: Rate = 0.0
    attention_dropout_rate: Rate = 0.0

    ignored_keys: ClassVar = frozenset({"classifier_dropout_prob"})
    unsupported: ClassVar = {
        "down_scale_factor": Only(1),
        "gap_size": Only(0),
        "net_structure_type": Only(0),
        "num_memory_blocks": Only(0),
    }
    reads_is_decoder: ClassVar = False  # nor does transformers


@dataclasses.dataclass(frozen=True)
class ALBERTUnsharedConfig(ALBERTConfig):
    """ALBERT's, for a model that is saved as what it has become."""

    export_as: ClassVar = "bert"


class OneBlock(Transformer):
    """Blocks that share their layers, by having the same names at every depth."""

    config_class = ALBERTConfig

    def layer_name(self, index, part):
        return f"Transformer-{part}"


@register_model("albert")
class ALBERT(OneBlock):
    """BERT with shared blocks and factorised embeddings.

    Source: Lan et al., ALBERT, 2019 (arXiv:1909.11942).
    """


@register_model("albert_unshared")
class ALBERTUnshared(Transformer):
    """ALBERT whose blocks start equal, from the shared one, and are then trained apart.

    It is saved as a BERT with a narrow embedding.
    """

    config_class = ALBERTUnsharedConfig


@register_model("albert_zh")
class ALBERTChinese(OneBlock):
    """The first Chinese ALBERT, whose tokens are widened before anything is added to them.

    Source: https://github.com/brightmart/albert_zh (the checkpoints not called `google`).
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

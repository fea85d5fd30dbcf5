"""NEZHA: BERT with sinusoidal relative positions added to keys and values."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from .._schema import Only, Size
from ..config import TransformerConfig
from ..layers import RelativeAttention
from ..models.transformer import Transformer
from ..positions import Position
from ..registry import register_model
from .roformer import GOOGLE


@dataclasses.dataclass(frozen=True)
class NEZHAConfig(TransformerConfig):
    """NEZHA's defaults.

    Attributes:
        max_relative_position: largest distance; longer ones are clipped to it.
    """

    max_relative_position: Size = 64

    unsupported: ClassVar[dict] = {"use_relative_position": Only(True)}


TABLES = (GOOGLE.renamed("NEZHA, Google names", ()),)


@register_model("nezha", tables=TABLES)
class NEZHA(Transformer):
    """BERT with relative instead of absolute positions.

    Source: Wei et al., NEZHA, 2019 (arXiv:1909.00204).
    """

    config_class = NEZHAConfig
    config: NEZHAConfig
    position = Position()
    attention_layer = RelativeAttention

    def attention_options(self):
        limit = self.config.max_relative_position
        return {**super().attention_options(), "max_relative_position": limit}

    def attention_arguments(self, context):
        return {
            **super().attention_arguments(context),
            "positions": context.positions,
            "key_positions": context.key_positions,
        }

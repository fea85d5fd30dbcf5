"""RoBERTa and XLM-R: BERT whose positions are counted from behind the padding id."""

from __future__ import annotations

import dataclasses

from .._schema import Count, Positive, Size, TokenId
from ..config import TransformerConfig
from ..models.transformer import Transformer
from ..positions import LearnedFromPadding
from ..registry import register_model


@dataclasses.dataclass(frozen=True)
class RoBERTaConfig(TransformerConfig):
    """RoBERTa's defaults; `max_position` counts two rows that no token uses."""

    max_position: Size = 514
    segment_vocab_size: Count = 1
    norm_epsilon: Positive = 1e-5
    pad_token_id: TokenId = 1


@register_model("roberta", "xlm-roberta", "camembert")
class RoBERTa(Transformer):
    """RoBERTa as its authors and Hugging Face have it.

    Chinese models called RoBERTa are BERT in structure and names: `model="bert"`.

    Source: Liu et al., RoBERTa, 2019 (arXiv:1907.11692); Conneau et al., XLM-R, 2019
    (arXiv:1911.02116).
    """

    config_class = RoBERTaConfig
    position = LearnedFromPadding()

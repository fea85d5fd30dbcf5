"""BERT, and what is BERT under another name: Chinese RoBERTa, MiniLM."""

from __future__ import annotations

from ..models.transformer import Transformer
from ..registry import register_model


@register_model("bert", "roberta_as_bert", "minilm")
class BERT(Transformer):
    """Post-norm encoder with learned positions and segments: the base assembler, unchanged.

    Source: Devlin et al., BERT, 2018 (arXiv:1810.04805).
    """

"""RoBERTa and XLM-R: BERT whose position ids start behind the padding id."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .._schema import Count, Positive, Size, TokenId
from ..checkpoints.entries import tied
from ..checkpoints.table import Rename
from ..config import TransformerConfig
from ..models.task_heads import TaskHead, TaskHeads
from ..models.transformer import Transformer
from ..positions import LearnedFromPadding
from ..registry import register_model
from ..tokenizers.defaults import TokenizerDefaults, special_tokens
from . import bert


@dataclasses.dataclass(frozen=True)
class RoBERTaConfig(TransformerConfig):
    """RoBERTa's defaults. `max_position` includes two rows that no token uses."""

    max_position: Size = 514
    segment_vocab_size: Count = 1
    norm_epsilon: Positive = 1e-5
    pad_token_id: TokenId = 1


HUGGINGFACE = bert.GOOGLE.without("NSP-Proba/*", "Embedding-Mapping/*").renamed(
    "RoBERTa, Hugging Face names",
    (
        Rename(r"^bert/", "roberta/"),
        Rename(r"^cls/predictions/transform/LayerNorm", "lm_head/layer_norm"),
        Rename(r"^cls/predictions/(transform/)?", "lm_head/"),
        *bert.TO_HUGGINGFACE,
    ),
    format="huggingface",
    root="roberta",
    roots=(),
    ignored=(
        *bert.huggingface_ignored("roberta")[:2],
        tied(
            "lm_head.decoder.weight",
            "roberta.embeddings.word_embeddings.weight",
            "lm_head.bias",
            "tied copy of the word embeddings",
        ),
        tied("lm_head.decoder.bias", "lm_head.bias", "lm_head.bias", "tied copy of the bias"),
    ),
)

TABLES = (HUGGINGFACE,)


_OPTIONS = {
    "pattern": "S*EE*E",
    "segments": (0, 0),
    **special_tokens("<s>", "</s>", "<pad>", "<unk>", "<mask>"),
}


def _sentencepiece_options(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"first_tokens": ("<s>", "<pad>", "</s>", "<unk>"), "last_tokens": ("<mask>",)}


TOKENIZER = TokenizerDefaults(
    "RobertaTokenizer", _OPTIONS, byte_level_bpe=True, aliases=("bart", "longformer")
)
_XLM_TOKENIZER = TokenizerDefaults(
    "XLMRobertaTokenizer",
    _OPTIONS,
    _sentencepiece_options,
    model_file="sentencepiece.bpe.model",
)


HEADS = TaskHeads(TaskHead("classifier.out_proj", "first", "classifier.dense", "tanh"))


@register_model(
    "xlm-roberta",
    tables="roberta",
    tokenizer=_XLM_TOKENIZER,
    heads=HEADS,
    class_prefix="XLMRoberta",
)
@register_model(
    "roberta",
    "camembert",
    tables=TABLES,
    tokenizer=TOKENIZER,
    heads=HEADS,
    class_prefix="Roberta",
)
class RoBERTa(Transformer):
    """RoBERTa as in transformers.

    Chinese models called RoBERTa have the structure and names of BERT: `model="bert"`.

    Source: Liu et al., RoBERTa, 2019 (arXiv:1907.11692); Conneau et al., XLM-R, 2019
    (arXiv:1911.02116).
    """

    config_class = RoBERTaConfig
    config: RoBERTaConfig
    position = LearnedFromPadding()

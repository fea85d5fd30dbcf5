"""GPT, GPT-2 and GPT2-ML: language models, and encoders under another mask."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from .._schema import Activation, Count, Positive, Size, TokenId
from ..config import TransformerConfig
from ..models.block import pre_norm, residual
from ..models.pretraining_heads import vocabulary_scores
from ..models.transformer import Transformer
from ..registry import register_model


@dataclasses.dataclass(frozen=True)
class GPTConfig(TransformerConfig):
    """GPT's names for our fields, and its defaults: no padding id, no segments."""

    hidden_act: Activation = "gelu_tanh"
    max_position: Size = 1024
    segment_vocab_size: Count = 0
    norm_epsilon: Positive = 1e-5
    pad_token_id: TokenId | None = None

    aliases: ClassVar = {
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_inner": "intermediate_size",
        "n_positions": "max_position",
        "activation_function": "hidden_act",
        "resid_pdrop": "dropout_rate",
        "attn_pdrop": "attention_dropout_rate",
        "layer_norm_epsilon": "norm_epsilon",
    }
    ignored_keys: ClassVar = frozenset(
        """embd_pdrop n_ctx n_special predict_special_tokens reorder_and_upcast_attn
        summary_activation summary_first_dropout summary_proj_to_labels summary_type
        summary_use_proj""".split()
    )
    reads_is_decoder: ClassVar = False  # it always is

    def __post_init__(self):
        if self.intermediate_size is None and isinstance(self.hidden_size, int):
            object.__setattr__(self, "intermediate_size", 4 * self.hidden_size)
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class OpenAIConfig(GPTConfig):
    """GPT's first version, whose "gelu" is the tanh form."""

    aliases: ClassVar = {**GPTConfig.aliases, "afn": "hidden_act"}
    export_as: ClassVar = "openai-gpt"

    @classmethod
    def from_dict(cls, values, **overrides):
        if values.get("afn") == "gelu":
            values = {**values, "afn": "gelu_tanh"}
        return super().from_dict(values, **overrides)

    def to_json_dict(self):
        values = super().to_json_dict()
        return {**values, "afn": "gelu" if self.hidden_act == "gelu_tanh" else self.hidden_act}


@register_model("gpt", "openai-gpt")
class GPT(Transformer):
    """BERT's blocks read from left to right; embeddings without norm, tied scores without head.

    With segments (`segment_vocab_size`, or `shared_segment_embeddings` for dialogue models) as in
    the Chinese checkpoints.

    Source: Radford et al., Improving Language Understanding by Generative Pre-Training, 2018.
    """

    config_class = OpenAIConfig
    native_application = "lm"

    def norm_embeddings(self, x, context):
        return self.dropout(x, "Embedding-Dropout")

    def apply_language_model(self, x, context):
        return vocabulary_scores(self, self.embed_tokens(x, reverse=True))


@register_model("gpt2")
class GPT2(GPT):
    """GPT with the norms in front of the sub-blocks, and one at the end.

    Source: Radford et al., Language Models are Unsupervised Multitask Learners, 2019.
    """

    config_class = GPTConfig
    wiring = staticmethod(pre_norm)

    def apply_main_layers(self, x, context):
        x = super().apply_main_layers(x, context)
        context.hidden_states[-1] = x = self.norm(x, "Output-Norm", context)
        return x


def between_norms(transformer: Any, x: Any, name: str, function: Any, context: Any) -> Any:
    """GPT2-ML's order: no norm after attention; one inside and one behind the feed-forward part."""
    if name.endswith("SelfAttention"):
        return residual(transformer, x, name, function(x))
    y = function(transformer.norm(x, f"{name}-Norm-0", context))
    return transformer.norm(residual(transformer, x, name, y), f"{name}-Norm-1", context)


@register_model("gpt2_ml")
class GPT2ML(GPT):
    """The Chinese GPT of Grover's code, nearer to GPT than to GPT-2.

    Source: https://github.com/imcaspar/gpt2-ml.
    """

    config_class = GPTConfig
    wiring = staticmethod(between_norms)

    def norm_embeddings(self, x, context):
        return self.norm(x, "Embedding-Norm", context)

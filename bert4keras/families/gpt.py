"""GPT, GPT-2 and GPT2-ML: causal language models, or encoders with another mask."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from .._schema import Activation, Count, Positive, Size, TokenId
from ..checkpoints.entries import NORM, TRAINING_STATE, norm_rows, rows, tied
from ..checkpoints.table import Ignored, Rename, WeightMap, WeightTable
from ..checkpoints.tensor_transform import IDENTITY, TensorTransform, slice_of
from ..config import TransformerConfig
from ..models.block import pre_norm, residual
from ..models.pretraining_heads import vocabulary_scores
from ..models.task_heads import TaskHead, TaskHeads
from ..models.transformer import Transformer
from ..registry import register_model
from ..tokenizers.defaults import TokenizerDefaults, special_tokens
from . import bert


@dataclasses.dataclass(frozen=True)
class GPTConfig(TransformerConfig):
    """GPT's keys and defaults: no padding id, no segments."""

    hidden_act: Activation = "gelu_tanh"
    max_position: Size = 1024
    segment_vocab_size: Count = 0
    norm_epsilon: Positive = 1e-5
    pad_token_id: TokenId | None = None

    aliases: ClassVar[dict] = {
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
    ignored_keys: ClassVar[frozenset] = frozenset(
        """embd_pdrop n_ctx n_special predict_special_tokens reorder_and_upcast_attn
        summary_activation summary_first_dropout summary_proj_to_labels summary_type
        summary_use_proj""".split()
    )
    reads_is_decoder: ClassVar[bool] = False  # GPT is always causal

    def __post_init__(self):
        if self.intermediate_size is None and isinstance(self.hidden_size, int):
            object.__setattr__(self, "intermediate_size", 4 * self.hidden_size)
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class OpenAIConfig(GPTConfig):
    """Config of the first GPT, where "gelu" means the tanh approximation."""

    aliases: ClassVar[dict] = {**GPTConfig.aliases, "afn": "hidden_act"}
    export_as: ClassVar[str] = "openai-gpt"

    @classmethod
    def from_dict(cls, values, **overrides):
        if values.get("afn") == "gelu":
            values = {**values, "afn": "gelu_tanh"}
        return super().from_dict(values, **overrides)

    def to_json_dict(self):
        values = super().to_json_dict()
        return {**values, "afn": "gelu" if self.hidden_act == "gelu_tanh" else self.hidden_act}


_BLOCK, _FEED = "Transformer-{i}-MultiHeadSelfAttention", "Transformer-{i}-FeedForward"

_GPT_GOOGLE = bert.GOOGLE.without("Embedding-Norm/*", "Pooler-*", "NSP-*", "MLM-*").renamed(
    "GPT, TensorFlow names",
    (Rename(r"^bert/encoder/", "gpt/transformer/"), Rename(r"^bert/", "gpt/")),
    root="gpt",
    roots=(),
)
_GPT2_GOOGLE = _GPT_GOOGLE.renamed(
    "GPT-2, TensorFlow names", (Rename("/output/LayerNorm", "/input/LayerNorm"),)
).extended(*rows("Output-Norm", "gpt/output/LayerNorm", NORM))


def _dense(
    weight: str, tensor: str, transforms: tuple[TensorTransform, TensorTransform]
) -> tuple[WeightMap, ...]:
    kernel, bias = transforms
    return (
        WeightMap(f"{weight}/kernel", f"{tensor}.weight", kernel),
        WeightMap(f"{weight}/bias", f"{tensor}.bias", bias),
    )


_PLAIN = (IDENTITY, IDENTITY)  # unlike other models, GPT-2 stores kernels as (in, out)
_THEIRS = "transformer.h.{i}"
_HUGGINGFACE_BLOCK = (
    *(
        row
        for index, name in enumerate(("query", "key", "value"))
        for row in _dense(
            f"{_BLOCK}/{name}",
            f"{_THEIRS}.attn.c_attn",
            (slice_of(index, 3, 1), slice_of(index, 3, 0)),
        )
    ),
    *_dense(f"{_BLOCK}/output", f"{_THEIRS}.attn.c_proj", _PLAIN),
    *norm_rows(f"{_BLOCK}-Norm", f"{_THEIRS}.ln_1"),
    *_dense(f"{_FEED}/inner", f"{_THEIRS}.mlp.c_fc", _PLAIN),
    *_dense(f"{_FEED}/output", f"{_THEIRS}.mlp.c_proj", _PLAIN),
    *norm_rows(f"{_FEED}-Norm", f"{_THEIRS}.ln_2"),
)


def _huggingface(name: str, tokens: str, positions: str, *more: WeightMap) -> WeightTable:
    return WeightTable(
        name,
        (
            WeightMap("Embedding-Token/embeddings", f"transformer.{tokens}.weight", per_token=True),
            WeightMap("Embedding-Position/embeddings", f"transformer.{positions}.weight"),
            *_HUGGINGFACE_BLOCK,
            *more,
        ),
        (
            Ignored("transformer.h.*.attn.bias", "constant causal mask"),
            Ignored("transformer.h.*.attn.masked_bias", "constant -1e4"),
            tied(
                "lm_head.weight",
                f"transformer.{tokens}.weight",
                f"transformer.{tokens}.weight",
                "tied copy of the word embeddings",
            ),
        ),
        format="huggingface",
        root="transformer",
        roots=(),
        always_rooted=True,
    )


_GPT_HUGGINGFACE = _huggingface("GPT, Hugging Face names", "tokens_embed", "positions_embed")
_GPT2_HUGGINGFACE = _huggingface(
    "GPT-2, Hugging Face names", "wte", "wpe", *norm_rows("Output-Norm", "transformer.ln_f")
)

_LAYER = "newslm/layer{i:02d}"
GPT2_ML = WeightTable(
    "GPT2-ML, TensorFlow names",
    (
        WeightMap("Embedding-Token/embeddings", "newslm/embeddings/word_embed", per_token=True),
        WeightMap("Embedding-Position/embeddings", "newslm/embeddings/pos_embed"),
        *rows("Embedding-Norm", "newslm/embeddings/LayerNorm_embed_norm", NORM),
        *rows(f"{_BLOCK}/query", f"{_LAYER}/query_layer"),
        *rows(f"{_BLOCK}/key", f"{_LAYER}/key_layer"),
        *rows(f"{_BLOCK}/value", f"{_LAYER}/value_layer"),
        *rows(f"{_BLOCK}/output", f"{_LAYER}/context_projection_layer"),
        *rows(f"{_FEED}-Norm-0", f"{_LAYER}/LayerNorm_mlp_ln0", NORM),
        *rows(f"{_FEED}/inner", f"{_LAYER}/intermediate"),
        *rows(f"{_FEED}/output", f"{_LAYER}/output"),
        *rows(f"{_FEED}-Norm-1", f"{_LAYER}/LayerNorm_mlp_ln1", NORM),
    ),
    TRAINING_STATE,
    root="newslm",
    roots=(),
)

_GPT_TABLES = (_GPT_HUGGINGFACE, _GPT_GOOGLE)
_GPT2_TABLES = (_GPT2_HUGGINGFACE, _GPT2_GOOGLE)
_GPT2_ML_TABLES = (GPT2_ML,)


_GPT_TOKENIZER = TokenizerDefaults("OpenAIGPTTokenizer")
_GPT2_TOKENIZER = TokenizerDefaults(
    "GPT2Tokenizer",
    {
        "pattern": "**",
        "segments": (0, 0),
        **special_tokens("<|endoftext|>", "<|endoftext|>", None, None, None),
    },
    byte_level_bpe=True,
)


HEADS = TaskHeads(TaskHead("score", "last", output_bias=False))


@register_model("openai-gpt", tables="gpt", heads=HEADS, class_prefix="OpenAIGPT")
@register_model(
    "gpt", tables=_GPT_TABLES, tokenizer=_GPT_TOKENIZER, heads=HEADS, class_prefix="OpenAIGPT"
)
class GPT(Transformer):
    """BERT's blocks with a causal mask, no norm of the embeddings, and a tied output layer.

    The Chinese checkpoints have segments: `segment_vocab_size`, or `shared_segment_embeddings` for
    dialogue models.

    Source: Radford et al., Improving Language Understanding by Generative Pre-Training, 2018.
    """

    config_class: ClassVar[type[GPTConfig]] = OpenAIConfig
    config: GPTConfig
    native_application = "lm"

    def norm_embeddings(self, x, context):
        return self.dropout(x, "Embedding-Dropout")

    def apply_language_model(self, x, context):
        return vocabulary_scores(self, self.embed_tokens(x, reverse=True))


@register_model(
    "gpt2", tables=_GPT2_TABLES, tokenizer=_GPT2_TOKENIZER, heads=HEADS, class_prefix="GPT2"
)
class GPT2(GPT):
    """GPT with pre-norm blocks and a final norm.

    Source: Radford et al., Language Models are Unsupervised Multitask Learners, 2019.
    """

    config_class = GPTConfig
    residual_layout = staticmethod(pre_norm)

    def apply_main_layers(self, x, context):
        x = super().apply_main_layers(x, context)
        context.collected.hidden_states[-1] = x = self.norm(x, "Output-Norm", context)
        return x


def _gpt2_ml_layout(transformer: Any, x: Any, name: str, sublayer: Any, context: Any) -> Any:
    """GPT2-ML's layout: no norm at the attention, one before and one after the feed-forward."""
    if name.endswith("SelfAttention"):
        return residual(transformer, x, name, sublayer(x))
    y = sublayer(transformer.norm(x, f"{name}-Norm-0", context))
    return transformer.norm(residual(transformer, x, name, y), f"{name}-Norm-1", context)


@register_model("gpt2_ml", tables=_GPT2_ML_TABLES)
class GPT2ML(GPT):
    """Chinese GPT, trained with the code of Grover; its blocks resemble GPT's more than GPT-2's.

    Source: https://github.com/imcaspar/gpt2-ml.
    """

    config_class = GPTConfig
    residual_layout = staticmethod(_gpt2_ml_layout)

    def norm_embeddings(self, x, context):
        return self.norm(x, "Embedding-Norm", context)

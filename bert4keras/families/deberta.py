"""DeBERTa v2 and v3: attention between contents and relative positions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import keras

from .._json import short_repr
from .._schema import Activation, Count, Only, Positive, Whole, one_of
from .._types import Array
from ..checkpoints.table import Ignored, Rename, WeightMap
from ..checkpoints.tensor_transform import TRANSPOSE, TensorTransform
from ..config import ACTIVATION_ALIASES, ConfigError, TransformerConfig
from ..layers import DisentangledAttention, MaskedConvolution, RelativeEmbedding
from ..layers.disentangled_attention import TERMS
from ..models.task_heads import TaskHead, TaskHeads
from ..models.transformer import Transformer
from ..positions import Learned, Position
from ..registry import register_model
from ..tokenizers.defaults import TokenizerDefaults, special_tokens
from . import bert

# Config key -> the values that are supported, for messages.
_ALLOWED = {
    "relative_attention": "it must be true",
    "pos_att_type": f"its terms are {' and '.join(TERMS)}",
    "conv_kernel_size": "it must be odd, or 0 for no convolution",
    "embedding_size": "it must be `hidden_size`",
    "position_buckets": "it must be even, and half of it less than `max_relative_positions` "
    "(by default `max_position`) minus 1",
}


@dataclasses.dataclass(frozen=True)
class DeBERTaConfig(TransformerConfig):
    """DeBERTa's defaults.

    Attributes:
        position_biased_input: also add a vector per position to the embeddings.
        max_relative_positions: largest distance; longer ones are clipped to it. Below 1:
            `max_position`.
        position_buckets: see `layers.disentangled_attention.bucket_table`. Below 1: no buckets.
        pos_att_type: terms of the attention scores besides content to content.
        share_att_key: see `layers.DisentangledAttention`.
        norm_rel_ebd: `"layer_norm"` or `"none"`: norm of the relative position embeddings.
        conv_kernel_size: width of a convolution parallel to the first block, in tokens; 0: none.
        conv_act: activation of the convolution.
        relative_attention: only True is supported.
    """

    segment_vocab_size: Count = 0
    norm_epsilon: Positive = 1e-7
    position_biased_input: bool = True
    relative_attention: bool = True
    max_relative_positions: Whole = -1
    position_buckets: Whole = -1
    pos_att_type: str | tuple[str, ...] = TERMS
    share_att_key: bool = False
    norm_rel_ebd: Annotated[str, one_of("none", "layer_norm")] = "none"
    conv_kernel_size: Whole = 0
    conv_act: Activation = "tanh"

    ignored_keys: ClassVar[frozenset] = frozenset(
        "legacy pooler_dropout pooler_hidden_act pooler_hidden_size".split()
    )
    unsupported: ClassVar[dict] = {"z_steps": Only(0)}
    reads_is_decoder: ClassVar[bool] = False  # as in transformers

    def __post_init__(self):
        super().__post_init__()
        stated = self.pos_att_type
        terms = stated.lower().split("|") if isinstance(stated, str) else stated
        object.__setattr__(self, "pos_att_type", tuple(sorted(term.strip() for term in terms)))
        problems = {
            "relative_attention": not self.relative_attention,
            "pos_att_type": not set(self.pos_att_type) <= set(TERMS),
            "conv_kernel_size": self.conv_kernel_size > 0 and self.conv_kernel_size % 2 == 0,
            "embedding_size": self.embedding_size != self.hidden_size,
            "position_buckets": self.buckets % 2 or 0 < self.max_distance - 1 <= self.buckets // 2,
        }
        for key in (key for key, problem in problems.items() if problem):
            value = short_repr(getattr(self, key))
            raise ConfigError(
                f"config `{key}={value}` is not supported for DeBERTa: {_ALLOWED[key]}."
            )

    @property
    def max_distance(self) -> int:
        """Largest distance between two tokens; longer ones are clipped to it."""
        return self.max_relative_positions if self.max_relative_positions > 0 else self.max_position

    @property
    def buckets(self) -> int:
        """Half the number of relative position embeddings; 0: one per distance."""
        return max(0, self.position_buckets)

    def to_json_dict(self):
        # Our tables use the tensor names of the head that transformers calls legacy.
        terms = "|".join(self.pos_att_type)
        return {**super().to_json_dict(), "pos_att_type": terms, "legacy": True}


_ROOT = "deberta.encoder"
_OURS = "Transformer-{i}-MultiHeadSelfAttention"
_THEIRS = f"{_ROOT}.layer.{{i}}.attention.self"


def _reverse_axes(array: Array) -> Array:
    if array.ndim != 3:
        raise ValueError(f"the kernel of a convolution must have 3 axes, not shape {array.shape}")
    return array.transpose(2, 1, 0)


# torch stores the kernel of a convolution as (out, in, width).
_CONVOLUTION = TensorTransform("reverse axes", _reverse_axes, _reverse_axes)

HUGGINGFACE = (
    bert.GOOGLE.without("Embedding-Mapping/*", "Pooler-Dense/*", "NSP-Proba/*")
    .renamed(
        "DeBERTa-v2, Hugging Face names",
        (
            Rename(r"^bert/", "deberta/"),
            Rename(r"/self/(query|key|value)/", r"/self/\1_proj/"),
            *bert.TO_HUGGINGFACE,
        ),
        format="huggingface",
        root="deberta",
        roots=(),
        ignored=(
            *bert.huggingface_ignored("deberta"),
            Ignored("mask_predictions.*", "head of replaced token detection"),
        ),
    )
    .extended(
        WeightMap("Embedding-Relative/embeddings", f"{_ROOT}.rel_embeddings.weight"),
        WeightMap("Embedding-Relative-Norm/gamma", f"{_ROOT}.LayerNorm.weight"),
        WeightMap("Embedding-Relative-Norm/beta", f"{_ROOT}.LayerNorm.bias"),
        *(
            row
            for name in ("key", "query")
            for row in (
                WeightMap(
                    f"{_OURS}/position_{name}/kernel",
                    f"{_THEIRS}.pos_{name}_proj.weight",
                    TRANSPOSE,
                ),
                WeightMap(f"{_OURS}/position_{name}/bias", f"{_THEIRS}.pos_{name}_proj.bias"),
            )
        ),
        WeightMap("Transformer-0-Convolution/kernel", f"{_ROOT}.conv.conv.weight", _CONVOLUTION),
        WeightMap("Transformer-0-Convolution/bias", f"{_ROOT}.conv.conv.bias"),
        WeightMap("Transformer-0-Convolution-Norm/gamma", f"{_ROOT}.conv.LayerNorm.weight"),
        WeightMap("Transformer-0-Convolution-Norm/beta", f"{_ROOT}.conv.LayerNorm.bias"),
    )
)
# The head of the authors' code: the same function under other names.
_AUTHORS = HUGGINGFACE.renamed(
    "DeBERTa-v3, the authors' names of its head",
    (Rename(r"^cls\.predictions\.(transform\.)?", "lm_predictions.lm_head."),),
    ignored=tuple(entry for entry in HUGGINGFACE.ignored if not entry.copy_of),
)

TABLES = (HUGGINGFACE, _AUTHORS)


def _sentencepiece_options(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"last_tokens": ("[MASK]",), "do_lower_case": config.get("do_lower_case", False)}


TOKENIZER = TokenizerDefaults(
    "DebertaV2Tokenizer",
    special_tokens("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"),
    _sentencepiece_options,
    model_file="spm.model",
    aliases=("deberta-v3",),
)


HEADS = TaskHeads(TaskHead("classifier", "first", "pooler.dense", ":pooler_hidden_act"))


@register_model(
    "deberta-v2", tables=TABLES, tokenizer=TOKENIZER, heads=HEADS, class_prefix="DebertaV2"
)
class DeBERTa(Transformer):
    """BERT with disentangled attention, which scores contents and relative positions separately.

    Source: He et al., DeBERTa, 2020 (arXiv:2006.03654) and DeBERTaV3, 2021 (arXiv:2111.09543).
    """

    config_class = DeBERTaConfig
    config: DeBERTaConfig
    attention_layer = DisentangledAttention

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # The position embeddings at the input; the attention layers have relative ones.
        self.position = Learned() if self.config.position_biased_input else Position()

    def prepare(self, context):
        context, config = super().prepare(context), self.config
        x = self.apply(
            context.inputs["token_ids"],
            RelativeEmbedding,
            name="Embedding-Relative",
            count=2 * (config.buckets or config.max_distance),
            width=config.hidden_size,
            embeddings_initializer=self.initializer,
        )
        if config.norm_rel_ebd == "layer_norm":
            # The embeddings are the same for all texts, so their norm is never conditional.
            x = self.apply(
                x, self.norm_layer, name="Embedding-Relative-Norm", **self.norm_options()
            )
        return dataclasses.replace(context, relative=x)

    def attention_options(self):
        config = self.config
        return {
            **super().attention_options(),
            "max_distance": config.max_distance,
            "buckets": config.buckets,
            "terms": config.pos_att_type,
            "share_key": config.share_att_key,
        }

    def attention_arguments(self, context):
        return {
            **super().attention_arguments(context),
            "positions": context.positions,
            "key_positions": context.key_positions,
            "relative": self.dropout(context.relative, "Embedding-Relative-Dropout"),
        }

    def bands(self, strategy):
        return () if self.config.conv_kernel_size > 0 else super().bands(strategy)

    def apply_block(self, x, index, context):
        embedded, x = x, super().apply_block(x, index, context)
        if index or self.config.conv_kernel_size < 1:
            return x
        arguments = {"attention_mask": context.mask}
        if context.step is not None:  # the window also covers rows of earlier steps
            all_rows = dataclasses.replace(context, step=None, positions=context.key_positions)
            embedded = self.apply_embeddings(all_rows)
            arguments["query_index"] = context.step.query_index
        y = self.apply(
            embedded,
            MaskedConvolution,
            name="Transformer-0-Convolution",
            arguments=arguments,
            kernel_size=self.config.conv_kernel_size,
            activation=ACTIVATION_ALIASES.get(self.config.conv_act, self.config.conv_act),
            kernel_initializer=self.initializer,
        )
        y = self.dropout(y, "Transformer-0-Convolution-Dropout")
        x = self.apply([x, y], keras.layers.Add, name="Transformer-0-Convolution-Add")
        return self.norm(x, "Transformer-0-Convolution-Norm", context)

"""ModernBERT: alternating global and local attention, rotary positions, gated feed-forward."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .._json import short_repr
from .._schema import Activation, Count, Only, Positive, Rate, Size, TokenId
from ..checkpoints.entries import norm_rows, tied
from ..checkpoints.table import WeightMap, WeightTable
from ..checkpoints.tensor_transform import IDENTITY, TRANSPOSE, TensorTransform, slice_of
from ..config import ACTIVATION_ALIASES, ConfigError, TransformerConfig
from ..layers import VocabularyBias
from ..masks import Window
from ..models.block import pre_norm, residual
from ..models.pretraining_heads import dense, vocabulary_scores
from ..models.task_heads import TaskHead, TaskHeads
from ..models.transformer import Transformer
from ..positions import Rotary
from ..registry import register_model
from ..tokenizers.defaults import TokenizerDefaults

GLOBAL, LOCAL = "full_attention", "sliding_attention"
_THETAS = {GLOBAL: "global_rope_theta", LOCAL: "local_rope_theta"}


def _alternation(every: int, blocks: int) -> tuple[str, ...]:
    """Return the kinds of `blocks` blocks, of which block 0, `every`, ... is global."""
    return tuple(LOCAL if i % every else GLOBAL for i in range(blocks))


def _period(types: Sequence[str] | None, stated: int | None) -> int | None:
    """Return the n whose `_alternation` is `types`, preferably `stated`, or None."""
    if not types:
        return stated
    candidates = (stated or 1, *range(1, len(types) + 1))
    return next((n for n in candidates if _alternation(n, len(types)) == tuple(types)), None)


@dataclasses.dataclass(frozen=True)
class ModernBERTConfig(TransformerConfig):
    """ModernBERT's keys and defaults.

    Attributes:
        global_attn_every_n_layers: n; blocks 0, n, 2n, ... have global attention, the others local.
            None: `layer_types` says it.
        layer_types: `"full_attention"` or `"sliding_attention"` for each block; None: n says it.
        local_attention: width of the window of local attention, in tokens.
        global_rope_theta, local_rope_theta: base of the rotary positions in each kind of block.
        norm_bias, attention_bias, mlp_bias, classifier_bias, decoder_bias: add biases there.
        classifier_activation: activation of the heads.
    """

    hidden_act: Activation = "gelu"
    max_position: Size = 8192
    segment_vocab_size: Count = 0
    dropout_rate: Rate = 0.0
    attention_dropout_rate: Rate = 0.0
    norm_epsilon: Positive = 1e-5
    pad_token_id: TokenId | None = 50283
    global_attn_every_n_layers: Size | None = 3
    layer_types: tuple[str, ...] | None = None
    local_attention: Size = 128
    global_rope_theta: Positive = 160000.0
    local_rope_theta: Positive = 10000.0
    norm_bias: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    classifier_bias: bool = False
    decoder_bias: bool = True
    classifier_activation: Activation = "gelu"

    aliases: ClassVar[dict] = {
        "hidden_activation": "hidden_act",
        "mlp_dropout": "dropout_rate",
        "attention_dropout": "attention_dropout_rate",
        "norm_eps": "norm_epsilon",
        "layer_norm_eps": "layer_norm_eps",  # in some files; transformers does not read it either
    }
    ignored_keys: ClassVar[frozenset] = frozenset(
        """classifier_pooling deterministic_flash_attn embedding_dropout initializer_cutoff_factor
        reference_compile repad_logits_with_grad sparse_pred_ignore_index sparse_prediction
        layer_norm_eps""".split()
    )
    # mmBERT and Ettin have "sans_pos", which transformers does not read.
    unsupported: ClassVar[dict] = {"position_embedding_type": Only("absolute", "sans_pos")}
    reads_is_decoder: ClassVar[bool] = False  # its decoder is another family

    def __post_init__(self):
        super().__post_init__()
        self.require_even_keys()
        types = self.layer_types and tuple(self.layer_types)
        if types and (len(types) != self.num_hidden_layers or not set(types) <= {GLOBAL, LOCAL}):
            raise ConfigError(
                f"config `layer_types` must say {GLOBAL!r} or {LOCAL!r} for each of the "
                f"{self.num_hidden_layers} blocks, not {short_repr(list(types))}."
            )
        every = _period(types, self.global_attn_every_n_layers)
        if not types and (not isinstance(every, int) or every < 1):
            raise ConfigError(
                "config `global_attn_every_n_layers` must be a positive integer, not "
                f"{short_repr(every)}."
            )
        object.__setattr__(self, "layer_types", None if every else types)
        object.__setattr__(self, "global_attn_every_n_layers", every)

    @property
    def kinds(self) -> tuple[str, ...]:
        """`GLOBAL` or `LOCAL` for each block."""
        every = self.global_attn_every_n_layers or 1  # None only beside `layer_types`
        return self.layer_types or _alternation(every, self.num_hidden_layers)

    @classmethod
    def from_dict(cls, values, **overrides):
        values = dict(values)
        values |= cls.thetas(values.pop("rope_parameters", None))
        every = "global_attn_every_n_layers"
        types = values.get("layer_types")
        for key in (every, "layer_types"):
            if values.get(key) is not None:
                cls.check(key, values[key])
        n = _period(types, values.get(every))
        if types and n and len(types) == values.get("num_hidden_layers"):
            # The short form can be overridden by another depth or another n.
            values = {**values, "layer_types": None, every: n}
        return super().from_dict(values, **overrides)

    @classmethod
    def thetas(cls, parameters: Any) -> dict[str, Any]:
        """Return our fields for `rope_parameters`, which has an object for each kind of block."""
        if not isinstance(parameters, (Mapping, type(None))):
            raise ConfigError(
                f"config `rope_parameters` must be an object of keys, not {short_repr(parameters)}."
            )
        found = {}
        for kind, rope in (parameters or {}).items():
            rope = {} if rope is None else rope
            plain = isinstance(rope, Mapping) and set(rope) <= {"rope_type", "rope_theta"}
            if kind not in _THETAS or not plain or rope.get("rope_type", "default") != "default":
                raise ConfigError(
                    f"config `rope_parameters` asks for {short_repr(rope)} in {short_repr(kind)}; "
                    f"only the default rotary positions are supported, of {' and '.join(_THETAS)}: "
                    '{"rope_type": "default", "rope_theta": ...}.'
                )
            theta = rope.get("rope_theta", getattr(cls, _THETAS[kind]))
            cls.check("rope_parameters", theta, _THETAS[kind])
            found[_THETAS[kind]] = float(theta)
        return found

    def to_json_dict(self):
        out = super().to_json_dict()
        if self.layer_types:
            out["layer_types"] = list(self.layer_types)
        return out


def _modernbert_layout(transformer: Any, x: Any, name: str, sublayer: Any, context: Any) -> Any:
    """`pre_norm`, except before the first attention, since the embeddings are normalized."""
    if name == transformer.layer_name(0, transformer.attention_name):
        return residual(transformer, x, name, sublayer(x))
    return pre_norm(transformer, x, name, sublayer, context)


_ATTENTION, _FEED = "Transformer-{i}-MultiHeadSelfAttention", "Transformer-{i}-FeedForward"
_THEIRS = "model.layers.{i}"


def _dense(weight: str, tensor: str, slice: TensorTransform = IDENTITY) -> tuple[WeightMap, ...]:
    return (
        WeightMap(f"{weight}/kernel", f"{tensor}.weight", slice.then(TRANSPOSE)),
        WeightMap(f"{weight}/bias", f"{tensor}.bias", slice),
    )


HUGGINGFACE = WeightTable(
    "ModernBERT, Hugging Face names",
    (
        WeightMap(
            "Embedding-Token/embeddings", "model.embeddings.tok_embeddings.weight", per_token=True
        ),
        *norm_rows("Embedding-Norm", "model.embeddings.norm"),
        *(
            row
            for index, name in enumerate(("query", "key", "value"))
            for row in _dense(f"{_ATTENTION}/{name}", f"{_THEIRS}.attn.Wqkv", slice_of(index, 3, 0))
        ),
        *_dense(f"{_ATTENTION}/output", f"{_THEIRS}.attn.Wo"),
        *norm_rows(f"{_ATTENTION}-Norm", f"{_THEIRS}.attn_norm"),
        *_dense(f"{_FEED}/inner", f"{_THEIRS}.mlp.Wi", slice_of(0, 2, 0)),
        *_dense(f"{_FEED}/gate", f"{_THEIRS}.mlp.Wi", slice_of(1, 2, 0)),
        *_dense(f"{_FEED}/output", f"{_THEIRS}.mlp.Wo"),
        *norm_rows(f"{_FEED}-Norm", f"{_THEIRS}.mlp_norm"),
        *norm_rows("Output-Norm", "model.final_norm"),
        *_dense("MLM-Dense", "head.dense"),
        *norm_rows("MLM-Norm", "head.norm"),
        WeightMap("MLM-Bias/bias", "decoder.bias", per_token=True),
    ),
    (
        tied(
            "decoder.weight",
            "model.embeddings.tok_embeddings.weight",
            "head.dense.weight",
            "tied copy of the word embeddings",
        ),
    ),
    format="huggingface",
    root="model",
    roots=(),
)

TABLES = (HUGGINGFACE,)


TOKENIZER = TokenizerDefaults("ModernBERTTokenizer")


_HEAD = TaskHead(
    "classifier",
    dense="head.dense",
    activation=":classifier_activation",
    norm="head.norm",
    dense_bias=":classifier_bias",
)
HEADS = TaskHeads(dataclasses.replace(_HEAD, pooling=":classifier_pooling"), _HEAD, _HEAD)


@register_model(
    "modernbert", tables=TABLES, tokenizer=TOKENIZER, heads=HEADS, class_prefix="ModernBert"
)
class ModernBERT(Transformer):
    """Pre-norm encoder with rotary positions; most blocks attend to a window only.

    Source: Warner et al., Smarter, Better, Faster, Longer, 2024 (arXiv:2412.13663).
    """

    config_class = ModernBERTConfig
    config: ModernBERTConfig
    residual_layout = staticmethod(_modernbert_layout)
    use_bias = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.position = Rotary(self.config.global_rope_theta, interleaved=False)
        local = copy.copy(self)
        local.position = Rotary(self.config.local_rope_theta, interleaved=False)
        local.mask = self.mask & Window(self.config.local_attention // 2)
        self.assemblers = {GLOBAL: self, LOCAL: local}

    def norm_options(self):
        return {**super().norm_options(), "center": self.config.norm_bias}

    def attention_options(self):
        return {**super().attention_options(), "use_bias": self.config.attention_bias}

    def feed_forward_options(self):
        return {**super().feed_forward_options(), "gated": True, "use_bias": self.config.mlp_bias}

    def apply_main_layers(self, x, context):
        near = self.attention_mask(context, self.assemblers[LOCAL].mask, "Attention-Mask-Local")
        contexts = {GLOBAL: context, LOCAL: dataclasses.replace(context, mask=near)}
        for index, kind in enumerate(self.config.kinds):
            x = self.assemblers[kind].apply_block(x, index, contexts[kind])
            context.collected.hidden_states.append(x)
        context.collected.hidden_states[-1] = x = self.norm(x, "Output-Norm", context)
        return x

    def apply_language_model(self, x, context):
        config = self.config
        activation = ACTIVATION_ALIASES.get(
            config.classifier_activation, config.classifier_activation
        )
        bias = config.classifier_bias
        x = dense(self, x, "MLM-Dense", config.hidden_size, activation, use_bias=bias)
        x = self.embed_tokens(self.norm(x, "MLM-Norm", context), reverse=True)
        if config.decoder_bias:
            x = self.apply(x, VocabularyBias, name="MLM-Bias")
        return vocabulary_scores(self, x)

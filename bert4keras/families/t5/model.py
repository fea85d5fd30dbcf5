"""T5 1.0, T5.1.1 and mT5: an encoder and a decoder with relative positions in buckets."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import keras

from ..._json import short_repr
from ..._schema import ACTIVATIONS, Activation, Count, Only, Positive, Size, problem
from ...config import ConfigError, TransformerConfig
from ...layers import (
    AttentionMask,
    ConditionalRMSNormalization,
    RMSNormalization,
    TokenEmbedding,
)
from ...models.backbone import Backbone
from ...models.block import pre_norm
from ...models.pretraining_heads import vocabulary_scores
from ...models.transformer import Context, Transformer
from ...positions import T5Buckets
from ...registry import register_model, register_tables
from .weights import MT5_TABLES, TABLES

GATED = "gated-"
MOST_BUCKETS, FARTHEST = 256, 8192  # published are 32 and 128; more would take minutes to divide


@dataclasses.dataclass(frozen=True)
class T5Config(TransformerConfig):
    """T5's names for our fields, its defaults (of version 1.0), and what it adds.

    Attributes:
        gated: feed-forward layers have two matrices where others have one (T5.1.1).
        tie_word_embeddings: the scores are made with the token embedding (T5 1.0).
        scale_decoder_outputs: whether scores are divided by the root of `hidden_size`; None: where
            the embedding is tied.
        num_decoder_layers: number of blocks of the decoder; None means `num_hidden_layers`.
        relative_attention_num_buckets: number of buckets of distances.
        relative_attention_max_distance: farther distances count as this one.
        cross_position_bias: add the decoder's position term to its cross-attention too. No
            published T5 does, but earlier versions of bert4keras did, by default.
    """

    hidden_act: Activation = "relu"
    segment_vocab_size: Count = 0
    norm_epsilon: Positive = 1e-6
    gated: bool = False
    tie_word_embeddings: bool = True
    scale_decoder_outputs: bool | None = None
    num_decoder_layers: Size | None = None
    relative_attention_num_buckets: Size = 32
    relative_attention_max_distance: Size = 128
    cross_position_bias: bool = False
    model_type: str = "t5"

    aliases: ClassVar = {
        "d_model": "hidden_size",
        "d_kv": "attention_head_size",
        "d_ff": "intermediate_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "n_positions": "max_position",
        "layer_norm_epsilon": "norm_epsilon",
        "dropout_rate": "dropout_rate",  # so that it is written under this name
    }
    ignored_keys: ClassVar = frozenset(
        {"initializer_factor", "dense_act_fn", "is_gated_act"}  # the latter two: see `activation`
    )
    unsupported: ClassVar = {
        "is_encoder_decoder": Only(True, False),  # `model_type` says which part is built
        "is_decoder": Only(False),
        "is_gated_act": Only(True, False),
        "use_bias": Only(False),
        "norm_bias": Only(False),
    }
    private_fields: ClassVar = TransformerConfig.private_fields | {"cross_position_bias"}

    def __post_init__(self):
        if isinstance(self.hidden_act, (list, tuple)):  # ["gelu", "linear"] as the ancestor had it
            self.check("hidden_act", list(self.hidden_act))
            object.__setattr__(self, "gated", True)
            object.__setattr__(self, "hidden_act", _activation(f"{GATED}{self.hidden_act[0]}"))
        super().__post_init__()
        buckets, farthest = (
            self.relative_attention_num_buckets,
            self.relative_attention_max_distance,
        )
        if buckets % 2 or not 4 <= buckets <= MOST_BUCKETS:
            raise ConfigError(
                "config `relative_attention_num_buckets` must be an even number from 4 to "
                f"{MOST_BUCKETS}, not {buckets}."
            )
        if not buckets // 2 < farthest <= FARTHEST:
            raise ConfigError(
                f"config `relative_attention_max_distance` must lie above {buckets // 2}, half of "
                f"`relative_attention_num_buckets`, and not above {FARTHEST}: not {farthest}."
            )
        if self.hierarchical_position is not None:
            raise ConfigError("hierarchical_position: T5 has no table of positions to extend.")
        if self.embedding_size != self.hidden_size:
            raise ConfigError(
                f"config `embedding_size` {self.embedding_size}: T5's embeddings are as wide as "
                f"the model, {self.hidden_size}."
            )

    @property
    def export_as(self) -> str:
        """`model_type` for other programs, which know no versions and parts."""
        return "mt5" if self.model_type.startswith("mt5") else "t5"

    @classmethod
    def from_dict(cls, values, **overrides):
        if "extra" in values:  # our own
            return super().from_dict(values, **overrides)
        values = cls.normalized(values)
        projection = values.pop("feed_forward_proj", None)
        if projection is not None:
            values |= cls.activation(projection, values)
        for key, name in (("is_gated_act", "gated"), ("dense_act_fn", "hidden_act")):
            if values.get(key) is not None:
                values.setdefault(name, values[key])
        if values.get("dropout_rate") is not None:  # one rate for all in these files
            values.setdefault("attention_dropout_rate", values["dropout_rate"])
        return super().from_dict(values, **overrides)

    @classmethod
    def check(cls, key, value, field=None):
        """As of every config; a list of two activations means that the layers are gated."""
        pair = (field or key) == "hidden_act" and isinstance(value, (list, tuple))
        if not pair:
            super().check(key, value, field)
        elif len(value) != 2 or problem(Activation, value[0]) or value[1] not in (None, "linear"):
            raise ConfigError(
                f"config `{key}` must be an activation, or a list of one and 'linear', not "
                f"{short_repr(value)}."
            )

    @classmethod
    def activation(cls, projection: Any, values: Mapping[str, Any]) -> dict[str, Any]:
        """Our fields for `feed_forward_proj`, which must not contradict what else is said."""
        cls.check("feed_forward_proj", projection, "model_type")
        act, gated = _activation(projection), projection.startswith(GATED)
        cls.check("feed_forward_proj", act, "hidden_act")
        stated = {"is_gated_act": gated, "dense_act_fn": ACTIVATIONS.get(act, act)}
        for key, value in stated.items():
            other = values.get(key)
            other = ACTIVATIONS.get(other, other) if isinstance(other, str) else other
            if other is not None and other != value:
                raise ConfigError(
                    f"config `feed_forward_proj={short_repr(projection)}` means "
                    f"`{key}={short_repr(value)}`, and the config says {short_repr(values[key])}. "
                    "Delete the one that is wrong."
                )
        return {"gated": gated, "hidden_act": act}

    @classmethod
    def normalized(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a json, less what its writer does not mean."""
        values = dict(values)
        for key in ("scale_decoder_outputs", "tie_word_embeddings"):
            if values.get(key) is not None:
                cls.check(key, values[key])
        # transformers 5 writes `tie_word_embeddings: true` beside a head of its own (T5.1.1), and
        # says by the other key that it is not the tied version.
        if values.pop("scale_decoder_outputs", None) is False:
            values["tie_word_embeddings"] = False
        return values

    def to_json_dict(self):
        values = super().to_json_dict()
        for key in ("hidden_act", "gated", "dense_act_fn", "is_gated_act"):
            values.pop(key, None)
        known = ("gelu", "gelu_python") if self.gated else ("gelu_new", "gelu")
        names = dict(zip(("gelu_tanh", "gelu"), known, strict=True))
        act = names.get(self.hidden_act, self.hidden_act)
        values["d_kv"] = self.attention_head_size  # 64 elsewhere, where the config does not say
        return {**values, "feed_forward_proj": GATED + act if self.gated else act}


def _activation(projection: str) -> str:
    """Our name of the activation in `feed_forward_proj`; gated, "gelu" is the tanh form."""
    act = projection.removeprefix(GATED)
    return "gelu_tanh" if projection == f"{GATED}gelu" else act


@dataclasses.dataclass(frozen=True)
class T511Config(T5Config):
    """The defaults of T5.1.1 and mT5, which are never tied (an mT5's json may say it is)."""

    hidden_act: str = "gelu_tanh"
    gated: bool = True
    tie_word_embeddings: bool = False
    model_type: str = "t5.1.1"

    @classmethod
    def normalized(cls, values):
        return {**super().normalized(values), "tie_word_embeddings": False}


register_tables("t5", TABLES)
register_tables("mt5", MT5_TABLES)


class T5Stack(Transformer):
    """Base of encoder and decoder: T5's blocks, under names that begin with the side.

    The token embedding belongs to both, and so do inputs that do.
    """

    config_class = T5Config
    side: ClassVar[str]
    wiring = staticmethod(pre_norm)
    use_bias = False
    norm_layer = RMSNormalization
    conditional_norm_layer = ConditionalRMSNormalization
    common_names = frozenset({"Embedding-Token", "Input-Condition", "Input-Context"})

    def full_name(self, name):
        return super().full_name(name if name in self.common_names else f"{self.side}-{name}")

    def norm_embeddings(self, x, context):
        return self.dropout(x, "Embedding-Dropout")

    def attention_options(self):
        return {**super().attention_options(), "scaled": False}

    def feed_forward_options(self):
        return {**super().feed_forward_options(), "gated": self.config.gated}

    def apply_main_layers(self, x, context):
        x = self.norm(super().apply_main_layers(x, context), "Output-Norm", context)
        context.hidden_states[-1] = x = self.dropout(x, "Output-Dropout")
        return x


@register_model("t5_encoder", "t5.1.0_encoder", tables="t5")
class T5Encoder(T5Stack):
    """The encoder of T5 alone."""

    side = "Encoder"
    position = T5Buckets(bidirectional=True)

    def apply_language_model(self, x, context):
        raise ValueError("T5's encoder has no language-model head; its decoder has.")


@register_model("t5_decoder", "t5.1.0_decoder", tables="t5")
class T5Decoder(T5Stack):
    """The decoder of T5 alone.

    Inputs: the encoder's output `Input-Context` (B, S, D), the token ids it was made of
    `Encoder-Input-Token` (B, S), which say what is padding, and those of the decoder
    `Decoder-Input-Token` (B, T). They begin with a start token, usually the padding id.
    """

    side = "Decoder"
    position = T5Buckets(bidirectional=False)
    native_application = "lm"
    start_token = True

    @property
    def depth(self):
        return self.config.num_decoder_layers or self.config.num_hidden_layers

    def get_inputs(self):
        encoder = T5Encoder(self.config, prefix=self.prefix)
        return {
            "context": self.input("context", (None, self.config.hidden_size), "float32"),
            "encoder_token_ids": encoder.input("token_ids"),
            **super().get_inputs(),
        }

    def encode(self, context: Context) -> Any:
        """The encoder's output (B, S, D)."""
        return context.inputs["context"]

    def prepare(self, context):
        super().prepare(context)
        source = encoder_inputs(context.inputs)
        # A cache that has the source's keys and values has no use for the source.
        known = context.cache is not None and self.depth in context.cache
        context.cross = cross = Context(source, source=None if known else self.encode(context))
        cross.mask = self.apply(
            source,
            AttentionMask,
            name="Cross-Attention-Mask",
            pad_token_id=self.config.pad_token_id,
        )
        if self.config.cross_position_bias:
            keys = self.position_ids(source, name="Cross-Position-Ids")
            cross.bias = self.position_bias(context.positions, keys)

    def apply_language_model(self, x, context):
        config, scale = self.config, self.config.scale_decoder_outputs
        if config.tie_word_embeddings if scale is None else scale:
            factor = config.hidden_size**-0.5
            x = self.apply(x, keras.layers.Rescaling, name="Output-Scale", scale=factor)
        if config.tie_word_embeddings:
            return vocabulary_scores(self, self.embed_tokens(x, reverse=True))
        _, options = self.token_embedding()
        arguments = {"reverse": True}
        x = self.apply(x, TokenEmbedding, name="Output-LM", arguments=arguments, **options)
        return vocabulary_scores(self, x)


def encoder_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a model's inputs that belong to its encoder, under the encoder's names."""
    mine = {
        name.removeprefix("encoder_"): tensor
        for name, tensor in inputs.items()
        if name.startswith("encoder_")
    }
    return {**mine, **{name: inputs[name] for name in ("condition",) if name in inputs}}


@register_model("t5", "t5.1.0")
class T5(T5Decoder):
    """Encoder and decoder in one model, with inputs `Encoder-Input-Token`, `Decoder-Input-Token`.

    Mask and heads are the decoder's; the encoder sees its whole text. `encoder` and `decoder` are
    models of the two parts, with the same weights. A `step` runs the encoder only where the cache
    does not yet have its keys and values, that is at the first one.

    Source: Raffel et al., Exploring the Limits of Transfer Learning, 2019 (arXiv:1910.10683).
    """

    encoder_class: type[T5Encoder] = T5Encoder
    decoder_class: type[T5Decoder] = T5Decoder

    def part(self, cls: type[T5Stack], **options: Any) -> T5Stack:
        """An assembler of encoder or decoder, which uses the layers of this one."""
        model_type = f"{self.config.model_type}_{cls.side.lower()}"
        stack = cls(
            dataclasses.replace(self.config, model_type=model_type),
            prefix=self.prefix,
            condition=self.condition,
            additional_inputs=self.additional_inputs,
            **options,
        )
        stack.layers = self.layers
        return stack

    @functools.cached_property
    def encoder(self) -> Backbone:
        """The encoder as a Keras model: token ids (B, S) to (B, S, D)."""
        return Backbone(self.part(self.encoder_class))

    @functools.cached_property
    def decoder(self) -> Backbone:
        """The decoder as a Keras model, see `T5Decoder` for its inputs."""
        part = self.part(
            self.decoder_class, application=self.mask, pretraining_heads=self.pretraining_heads
        )
        return Backbone(part)

    def get_inputs(self):
        source = self.part(self.encoder_class).get_inputs()
        source.pop("condition", None)  # one for both
        return {
            **{f"encoder_{name}": tensor for name, tensor in source.items()},
            **super(T5Decoder, self).get_inputs(),
        }

    def encode(self, context):
        encoder = self.part(self.encoder_class)
        return encoder.forward(Context(encoder_inputs(context.inputs)))


@register_model("mt5_encoder", "mt5.1.1_encoder", tables="mt5")
@register_model("t5.1.1_encoder", tables="t5")
class T511Encoder(T5Encoder):
    """The encoder of T5.1.1 or mT5 alone."""

    config_class = T511Config


@register_model("mt5_decoder", "mt5.1.1_decoder", tables="mt5")
@register_model("t5.1.1_decoder", tables="t5")
class T511Decoder(T5Decoder):
    """The decoder of T5.1.1 or mT5 alone."""

    config_class = T511Config


@register_model("mt5", "mt5.1.1")
@register_model("t5.1.1", tables="t5")
class T511(T5):
    """T5 with gated feed-forward layers and a head of its own.

    Source: Shazeer, GLU Variants Improve Transformer, 2020 (arXiv:2002.05202); Xue et al., mT5,
    2020 (arXiv:2010.11934).
    """

    config_class = T511Config
    encoder_class = T511Encoder
    decoder_class = T511Decoder

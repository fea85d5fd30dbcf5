"""T5 1.0, T5.1.1 and mT5: an encoder and a decoder with relative positions in buckets."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import keras

from ..._types import Tensor
from ...layers import (
    AttentionMask,
    ConditionalRMSNormalization,
    RMSNormalization,
    TokenEmbedding,
)
from ...masks import Mask, Packed
from ...models.backbone import Backbone
from ...models.block import pre_norm
from ...models.pretraining_heads import vocabulary_scores
from ...models.transformer import Context, Transformer
from ...registry import register_model, register_tables
from .config import T5Config, T511Config
from .cross_mask import SameDocument
from .positions import T5Buckets
from .tokenizer import MT5_TOKENIZER, TOKENIZER
from .weights import MT5_TABLES, TABLES

register_tables("t5", TABLES)
register_tables("mt5", MT5_TABLES)


class _T5Stack(Transformer):
    """Base of encoder and decoder: T5's blocks.

    Layer names begin with the side, except those of layers and inputs that both sides share.
    """

    config_class = T5Config
    config: T5Config
    side: ClassVar[str]
    residual_layout = staticmethod(pre_norm)
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
        context.collected.hidden_states[-1] = x = self.dropout(x, "Output-Dropout")
        return x


@register_model("t5_encoder", "t5.1.0_encoder", tables="t5")
class T5Encoder(_T5Stack):
    """The encoder of T5 without the decoder."""

    side = "Encoder"
    position = T5Buckets(bidirectional=True)

    def apply_language_model(self, x, context):
        raise ValueError("T5's encoder has no language-model head. Build the decoder or the T5.")


@register_model("t5_decoder", "t5.1.0_decoder", tables="t5")
class T5Decoder(_T5Stack):
    """The decoder of T5 without the encoder.

    Inputs: the encoder's output `Input-Context` (B, S, D); its token ids `Encoder-Input-Token`
    (B, S), which mark padding; and the decoder's token ids `Decoder-Input-Token` (B, T), which
    begin with a start token, usually the padding id.

    With a mask of packed documents, such as `LM() & Packed()`, rows of both sides hold several
    documents: there is an input `Encoder-Input-Document` too, and a decoder's token sees the source
    with its own number. Each document of the decoder begins with a start token.
    """

    side = "Decoder"
    position = T5Buckets(bidirectional=False)
    native_application = "lm"
    start_token = True

    @property
    def depth(self):
        return self.config.num_decoder_layers or self.config.num_hidden_layers

    @property
    def source_mask(self) -> Mask:
        """Mask of the encoder: packed if that of the decoder is."""
        return Packed() if "document_ids" in self.mask.input_names else Mask()

    def get_inputs(self):
        encoder = T5Encoder(self.config, prefix=self.prefix)
        names = ("token_ids", *self.source_mask.input_names)
        return {
            "context": self.input("context", (None, self.config.hidden_size), "float32"),
            **{f"encoder_{name}": encoder.input(name) for name in names},
            **super().get_inputs(),
        }

    def encode(self, context: Context) -> Tensor:
        """Return the encoder's output (B, S, D)."""
        return context.inputs["context"]

    def prepare(self, context):
        context = super().prepare(context)
        inputs, bias = _encoder_inputs(context.inputs), None
        # If the cache has the keys and values of the source, the source is not needed.
        known = context.step is not None and self.depth in context.step.cache
        source = None if known else self.encode(context)
        mask = self.apply(
            inputs,
            AttentionMask,
            name="Cross-Attention-Mask",
            pad_token_id=self.config.pad_token_id,
        )
        if "document_ids" in inputs:
            numbers = [self.select(context, "document_ids"), inputs["document_ids"]]
            mask = self.apply([mask, *numbers], SameDocument, name="Cross-Attention-Document")
        if self.config.cross_position_bias:
            keys = self.position_ids(inputs, name="Cross-Position-Ids")
            bias = self.position_bias(context.positions, keys)
        cross = Context(inputs, source=source, mask=mask, bias=bias)
        return dataclasses.replace(context, cross=cross)

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


def _encoder_inputs(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the inputs of the encoder, under the names it has for them."""
    own = {
        name.removeprefix("encoder_"): tensor
        for name, tensor in inputs.items()
        if name.startswith("encoder_")
    }
    return {**own, **{name: inputs[name] for name in ("condition",) if name in inputs}}


@register_model("t5", "t5.1.0", tokenizer=TOKENIZER)
class T5(T5Decoder):
    """Encoder and decoder in one model, with inputs `Encoder-Input-Token`, `Decoder-Input-Token`.

    Mask and heads are those of the decoder; the encoder is bidirectional. `encoder` and `decoder`
    are models of the two parts that share the weights. Only the first `step` runs the encoder; the
    later ones find its keys and values in the cache.

    Source: Raffel et al., Exploring the Limits of Transfer Learning, 2019 (arXiv:1910.10683).
    """

    is_encoder_decoder = True
    encoder_class: type[T5Encoder] = T5Encoder
    decoder_class: type[T5Decoder] = T5Decoder

    def part(self, cls: type[_T5Stack], **options: Any) -> _T5Stack:
        """Return an assembler of the encoder or the decoder that shares the layers of this one."""
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

    @property
    def stacks(self):
        return [self, self.part(self.encoder_class)]

    @functools.cached_property
    def encoder(self) -> Backbone:
        """The encoder as a Keras model: token ids (B, S) to (B, S, D)."""
        return Backbone(self.part(self.encoder_class, application=self.source_mask))

    @functools.cached_property
    def decoder(self) -> Backbone:
        """The decoder as a Keras model; see `T5Decoder` for its inputs."""
        part = self.part(
            self.decoder_class, application=self.mask, pretraining_heads=self.pretraining_heads
        )
        return Backbone(part)

    def get_inputs(self):
        source = self.part(self.encoder_class, application=self.source_mask).get_inputs()
        source.pop("condition", None)  # one for both
        return {
            **{f"encoder_{name}": tensor for name, tensor in source.items()},
            **super(T5Decoder, self).get_inputs(),
        }

    def encode(self, context):
        encoder = self.part(self.encoder_class, application=self.source_mask)
        return encoder.forward(Context(_encoder_inputs(context.inputs)))


@register_model("mt5_encoder", "mt5.1.1_encoder", tables="mt5")
@register_model("t5.1.1_encoder", tables="t5")
class T511Encoder(T5Encoder):
    """The encoder of T5.1.1 or mT5 without the decoder."""

    config_class = T511Config
    config: T511Config


@register_model("mt5_decoder", "mt5.1.1_decoder", tables="mt5")
@register_model("t5.1.1_decoder", tables="t5")
class T511Decoder(T5Decoder):
    """The decoder of T5.1.1 or mT5 without the encoder."""

    config_class = T511Config
    config: T511Config


@register_model("mt5", "mt5.1.1", tokenizer=MT5_TOKENIZER, class_prefix="MT5")
@register_model("t5.1.1", tables="t5")
class T511(T5):
    """T5 with gated feed-forward layers and an untied output layer.

    Source: Shazeer, GLU Variants Improve Transformer, 2020 (arXiv:2002.05202); Xue et al., mT5,
    2020 (arXiv:2010.11934).
    """

    config_class = T511Config
    config: T511Config
    encoder_class = T511Encoder
    decoder_class = T511Decoder

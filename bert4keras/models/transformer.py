"""Assembler: plain Python that connects layers by name, on symbols and on tensors alike.

Legend: B batch, T query length, S key length, D hidden size, E embedding size, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras
from keras import ops

from .._types import KeyValues, Tensor
from ..config import TransformerConfig
from ..layers import (
    AttentionMask,
    ConditionalLayerNormalization,
    FeedForward,
    MultiHeadAttention,
    PaddingMask,
    SegmentEmbedding,
    TokenEmbedding,
)
from ..masks import Mask, get_mask
from ..masks.bands import Band
from ..positions import Learned, Position
from .assembler import Assembler
from .block import ResidualLayout, block, post_norm
from .context import Context, DecodingStep
from .pretraining_heads import PretrainingHeads, language_model, pooler
from .two_stream import NonEmptyMask, run_query_stream

if TYPE_CHECKING:
    from .backbone import Backbone


class Transformer(Assembler):
    """Builder of a Transformer; a family overrides one of its four stages, or a part of one.

    The stages are `get_inputs`, `apply_embeddings`, `apply_main_layers`, `apply_final_layers`.
    `apply` creates or reuses a layer *by name*, so weights are shared by using a name twice.
    `forward` runs on symbols (to build a model) and on tensors (`step`, to decode) alike.

    Args:
        config: sizes and options.
        application: mask strategy, by name or as a `Mask`. `"encoder"` means the family's own
            strategy, `native_application` (a GPT is a language model).
        pretraining_heads: heads after the last block.
        prefix: put before every layer name, to have two encoders in one model.
        layers: layers by name to reuse, such as those of another `Transformer`.
        condition: symbolic tensor (B, C) or (B, T, C) for conditional norms, instead of an input
            `Input-Condition`.
        additional_inputs: symbolic inputs that `condition` is computed from.

    Class attributes, for families:
        config_class: its `TransformerConfig`.
        position: its `Position` strategy.
        native_application: the mask strategy that it was trained with.
        residual_layout: order of sublayer, residual sum and norm, a `block.ResidualLayout`, such as
            `staticmethod(block.pre_norm)`.
        use_bias: whether attention and feed-forward layers have biases.
        norm_layer, conditional_norm_layer: classes of its norms.
        attention_layer, attention_name: class and layer name of its attention.
        feed_forward_layer: class of its feed-forward layers; None: blocks have no such part.
        start_token: True if the first token is visible even if it has the padding id.
        is_encoder_decoder: True if an encoder is part of the model.
    """

    config_class: ClassVar[type[TransformerConfig]] = TransformerConfig
    position: Position = Learned()
    native_application: ClassVar[str] = "encoder"
    residual_layout: ClassVar[ResidualLayout] = staticmethod(post_norm)
    use_bias: ClassVar[bool] = True
    norm_layer: ClassVar[type[keras.layers.Layer]] = keras.layers.LayerNormalization
    conditional_norm_layer: ClassVar[type[keras.layers.Layer]] = ConditionalLayerNormalization
    attention_layer: ClassVar[type[MultiHeadAttention]] = MultiHeadAttention
    attention_name: ClassVar[str] = "MultiHeadSelfAttention"
    feed_forward_layer: ClassVar[type[keras.layers.Layer] | None] = FeedForward
    start_token: ClassVar[bool] = False
    is_encoder_decoder: ClassVar[bool] = False
    model: Backbone  # set by `build_transformer_model`

    def __init__(
        self,
        config: TransformerConfig,
        application: str | Mask = "encoder",
        pretraining_heads: PretrainingHeads | None = None,
        prefix: str = "",
        layers: Mapping[str, keras.layers.Layer] | None = None,
        condition: Tensor | None = None,
        additional_inputs: Sequence[Tensor] = (),
    ):
        super().__init__(config, prefix, layers)
        self.mask = get_mask(self.native_application if application == "encoder" else application)
        self.pretraining_heads = pretraining_heads or PretrainingHeads()
        self.condition = condition
        self.additional_inputs = list(additional_inputs)

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return self.config.num_hidden_layers

    @property
    def stacks(self) -> list[Transformer]:
        """Assemblers of all stacks of blocks, this one first."""
        return [self]

    def layer_name(self, index: int, part: str) -> str:
        """Name of a block's layer; the same for all blocks if they share weights."""
        return f"Transformer-{index}-{part}"

    def get_inputs(self) -> dict[str, Tensor]:
        """Symbolic inputs by name: int32 of shape (B, S) each, and float (B, C) conditions."""
        config, names = self.config, ["token_ids"]
        if config.segment_vocab_size:
            names.append("segment_ids")
        if config.custom_position_ids:
            names.append("position_ids")
        added = (*self.mask.input_names, *self.pretraining_heads.input_names)
        names += [name for name in added if name not in names]
        inputs = {name: self.input(name) for name in names}
        if config.layer_norm_cond and self.condition is None:
            inputs["condition"] = self.input("condition", (config.layer_norm_cond,), "float32")
        return inputs

    def forward(self, context: Context) -> Any:
        """Run embeddings, blocks and heads; building a model and decoding both go through here.

        Args:
            context: inputs, and the decoding step if there is one. Its `collected` results and the
                cache of the step are filled in.

        Returns:
            Output of the last stage: a tensor, or a list of them with several heads.
        """
        context, step = self.prepare(context), context.step
        x = self.mask_padding(self.apply_embeddings(context), context)
        context.collected.hidden_states.append(x)
        x = self.apply_main_layers(x, context)
        if self.mask.has_query_stream:
            x = run_query_stream(self, context)
        return self.apply_final_layers(x[:, -1:] if step and step.last_only else x, context)

    def prepare(self, context: Context) -> Context:
        """Add what all blocks share: mask, position ids, position bias and condition."""
        inputs, step = context.inputs, context.step
        mask, keys = self.attention_mask(context, self.mask), self.position_ids(inputs)
        positions = keys if step is None else ops.take(keys, step.query_index, axis=1)
        return dataclasses.replace(
            context,
            mask=mask,
            positions=positions,
            key_positions=keys,
            bias=self.position_bias(positions, keys),
            condition=inputs.get("condition", self.condition),
        )

    def position_ids(self, inputs: Mapping[str, Tensor], name: str | None = None) -> Tensor:
        """Position ids (B|1, S): the user's own, or counted from the token ids.

        Args:
            inputs: model inputs by name, (B, S) each.
            name: of the layer that counts; None: as of `Position.ids`.
        """
        position, mask, config = self.position, self.mask, self.config
        if "position_ids" in inputs:
            check, ids = position.from_user(config), inputs["position_ids"]
            return ids if check is None else self.apply_spec(ids, check)
        tokens: Tensor | dict[str, Tensor] = inputs["token_ids"]
        spec = position.ids(config)
        if mask.restarts_positions and set(mask.input_names) <= set(inputs):
            tokens = {key: inputs[key] for key in ("token_ids", *mask.input_names)}
            spec = position.ids(config, mask)
        return self.apply_spec(tokens, spec._replace(name=name or spec.name))

    def position_bias(self, positions: Tensor, key_positions: Tensor) -> Tensor | None:
        """Bias (B|1, N, T, S) that the position strategy adds to attention scores, if any."""
        spec = self.position.bias(self.config)
        if spec is None:
            return None
        ids = [positions, key_positions]
        return self.apply_spec(ids, spec, embeddings_initializer=self.initializer)

    def attention_mask(
        self, context: Context, strategy: Mask, name: str = "Attention-Mask"
    ) -> Tensor:
        """Mask of the visible keys under `strategy` and the padding, see `AttentionMask`."""

        def mask(query_stream: bool) -> Tensor:
            step = context.step
            arguments = {} if step is None else {"query_index": step.query_index}
            return self.apply(
                dict(context.inputs),
                AttentionMask,
                name=name,
                arguments={**arguments, "query_stream": query_stream},
                strategy=strategy,
                pad_token_id=self.config.pad_token_id,
                start_token=self.start_token,
                bands=self.bands(strategy),
            )

        if not context.query_stream:
            return mask(False)
        return self.apply([mask(True), mask(False)], NonEmptyMask, name=f"{name}-Query")

    def bands(self, strategy: Mask) -> tuple[Band, ...]:
        """Bands in which attention is computed under `strategy`; empty: it is dense."""
        config = self.config
        dense = config.residual_attention_scores or self.position.bias(config) is not None
        return () if dense or not strategy.fits_bands else strategy.bands

    def mask_padding(self, x: Tensor, context: Context) -> Tensor:
        """Attach a Keras mask of the padding, which all later layers pass on, to x (B, T, D)."""
        pad_token_id, inputs = self.config.pad_token_id, context.inputs
        if pad_token_id is None or context.step is not None or "padding_mask" in inputs:
            return x
        options: dict[str, Any] = {"pad_token_id": pad_token_id, "start_token": self.start_token}
        ids = inputs["token_ids"]
        if self.start_token and "document_ids" in inputs:  # see `masks.padding_mask`
            ids, options = inputs["document_ids"], {"pad_token_id": 0}
        return self.apply([x, ids], PaddingMask, name="Padding-Mask", **options)

    def select(self, context: Context, name: str) -> Tensor:
        """Return an input at the rows of this pass, (B, T)."""
        x, step = context.inputs[name], context.step
        return x if step is None else ops.take(x, step.query_index, axis=1)

    def apply_embeddings(self, context: Context) -> Tensor:
        """Return the normalized sum of token, segment and position vectors, (B, T, D)."""
        config = self.config
        x = self.embed_tokens(self.select(context, "token_ids"))
        if config.segment_vocab_size:
            segments = self.embed_segments(self.select(context, "segment_ids"))
            x = self.apply([x, segments], keras.layers.Add, name="Embedding-Token-Segment")
        x = self.norm_embeddings(self.embed_positions(x, context), context)
        if self.embedding_width != config.hidden_size:
            options: dict[str, Any] = {"units": config.hidden_size, "use_bias": self.use_bias}
            options["kernel_initializer"] = self.initializer
            x = self.apply(x, keras.layers.Dense, name="Embedding-Mapping", **options)
        return x

    @property
    def embedding_width(self) -> int:
        """Width of token, segment and position vectors, E."""
        return self.config.embedding_size or self.config.hidden_size

    def embed_positions(self, x: Tensor, context: Context) -> Tensor:
        """Add the position embedding, if the family has one, to the embeddings x (B, T, E)."""
        spec = self.position.embedding(self.config, self.embedding_width)
        if spec is None:
            return x
        initializer = {"embeddings_initializer": self.initializer}
        vectors = self.apply_spec(context.positions, spec, **initializer)
        return self.apply([x, vectors], keras.layers.Add, name="Embedding-Position-Add")

    def norm_embeddings(self, x: Tensor, context: Context) -> Tensor:
        """Apply norm and dropout to the summed embeddings."""
        return self.dropout(self.norm(x, "Embedding-Norm", context), "Embedding-Dropout")

    def embed_segments(self, x: Tensor) -> Tensor:
        """Map segment ids (B, T) to vectors (B, T, E)."""
        if self.config.shared_segment_embeddings:
            return self.embed_tokens(x)
        rows, width = self.config.segment_vocab_size, self.embedding_width
        options: dict[str, Any] = {"constant": rows == 1, "input_dim": rows, "output_dim": width}
        options["embeddings_initializer"] = self.initializer
        return self.apply(x, SegmentEmbedding, name="Embedding-Segment", **options)

    def embed_tokens(self, x: Tensor, reverse: bool = False) -> Tensor:
        """Map ids to vectors, or with `reverse` vectors to scores, by the same (tied) table."""
        layer, options = self.token_embedding()
        arguments = {"reverse": True} if reverse else {}
        return self.apply(x, layer, name="Embedding-Token", arguments=arguments, **options)

    def token_embedding(self) -> tuple[type[keras.layers.Layer], dict[str, Any]]:
        """Class and arguments of the token embedding."""
        return TokenEmbedding, {
            "input_dim": self.config.vocab_size,
            "output_dim": self.config.embedding_size,
            "embeddings_initializer": self.initializer,
        }

    def norm(self, x: Tensor, name: str, context: Context) -> Tensor:
        """Apply the family's norm over the last axis, conditional if there is a condition."""
        options, layer = self.norm_options(), self.norm_layer
        if context.condition is not None:
            config, layer = self.config, self.conditional_norm_layer
            options["hidden_units"] = config.layer_norm_cond_hidden_size
            options["hidden_activation"] = config.layer_norm_cond_hidden_act
            return self.apply([x, context.condition], layer, name=name, **options)
        return self.apply(x, layer, name=name, **options)

    def norm_options(self) -> dict[str, Any]:
        """Arguments of the norm layers."""
        return {"epsilon": self.config.norm_epsilon}

    def dropout(self, x: Tensor, name: str) -> Tensor:
        """Apply dropout at the config's rate."""
        return self.apply(x, keras.layers.Dropout, name=name, rate=self.config.dropout_rate)

    def attention_options(self) -> dict[str, Any]:
        """Arguments of the attention layers."""
        config = self.config
        return {
            "heads": config.num_attention_heads,
            "head_size": config.attention_head_size,
            "key_size": config.attention_key_size,
            "output_dim": config.hidden_size,
            "use_bias": self.use_bias,
            "attention_dropout": config.attention_dropout_rate,
            "position": self.position if self.position.rotates else None,
            "return_scores": config.residual_attention_scores,
            "remat": config.remat,
            "bands": self.bands(self.mask),
            "kernel_initializer": self.initializer,
        }

    def attention_arguments(self, context: Context) -> dict[str, Any]:
        """Call arguments of the attention layers."""
        arguments = {"attention_mask": context.mask}
        if context.bias is not None:
            arguments["bias"] = context.bias
        if self.position.rotates:
            arguments["positions"] = context.positions
        if context.collected.scores is not None:
            arguments["scores"] = context.collected.scores
        return arguments

    def feed_forward_options(self) -> dict[str, Any]:
        """Arguments of the feed-forward layers."""
        return {
            "units": self.config.intermediate_size,
            "activation": self.config.hidden_act,
            "use_bias": self.use_bias,
            "remat": self.config.remat,
            "kernel_initializer": self.initializer,
        }

    def apply_main_layers(self, x: Tensor, context: Context) -> Tensor:
        """Apply all blocks to x (B, T, D)."""
        for index in range(self.depth):
            x = self.apply_block(x, index, context)
            context.collected.hidden_states.append(x)
        return x

    def apply_block(self, x: Tensor, index: int, context: Context) -> Tensor:
        """Apply one block: attention and feed-forward, each in the family's residual layout."""
        return block(self, x, index, context)

    def apply_final_layers(self, x: Tensor, context: Context) -> Any:
        """Apply the pretraining heads; without heads return the last hidden state."""
        return self.pretraining_heads.apply(self, x, context)

    def apply_pooler(self, x: Tensor) -> Tensor:
        """Apply the head of `with_pool` and `with_nsp`: (B, D) or (B, 2)."""
        return pooler(self, x)

    def apply_language_model(self, x: Tensor, context: Context) -> Tensor:
        """Apply the head of `with_mlm`: (B, T, V)."""
        return language_model(self, x, context)

    def apply_discriminator(self, x: Tensor) -> Tensor:
        """Apply the head of `with_discriminator`: (B, T, 1). Few families have one."""
        raise ValueError(f"{self.config.model_type} has no discriminator; ELECTRA has.")

    def step(
        self,
        inputs: Mapping[str, Tensor],
        query_index: Tensor,
        cache: Mapping[int, KeyValues],
        last_only: bool = False,
    ) -> tuple[Any, dict[int, KeyValues]]:
        """Run some rows of a sequence on tensors, with the keys and values of earlier rows.

        Args:
            inputs: model inputs by name over the full, fixed length, (B, S) each. Values at masked
                positions are ignored. An optional `padding_mask` (B, S) is False at padding.
            query_index: (T,) consecutive int indices of the rows to compute.
            cache: from `empty_cache`, or an earlier step.
            last_only: return the output for the last of these rows only.

        Returns:
            The output for those rows, and the new cache.
        """
        step = DecodingStep(query_index, dict(cache), last_only)
        return self.forward(Context(inputs, step)), step.cache

    def empty_cache(self, batch: int, length: int) -> dict[int, KeyValues]:
        """Return zeroed keys and values for `step` by block index, (B, N, S, H) each."""
        cache = {}
        for index in range(self.depth):
            name = self.full_name(self.layer_name(index, self.attention_name))
            cache[index] = self.layers[name].empty_cache(batch, length)
        return cache

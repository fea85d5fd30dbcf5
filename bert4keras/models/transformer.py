"""The assembler: plain Python that wires layers by name, in symbols or on tensors alike.

Legend: B batch, T query length, S key length, D hidden size, E embedding size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from .._types import Tensor
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
from ..masks import Mask, get_mask, input_layer_name
from ..positions import LayerSpec, Learned, Position
from .block import block, post_norm
from .context import Context
from .pretraining_heads import PretrainingHeads, language_model, pooler
from .two_stream import NonEmptyMask, run_query_stream


class Transformer:
    """Builds a Transformer; a family overrides one of the four stages, or one of their bricks.

    The stages are `get_inputs`, `apply_embeddings`, `apply_main_layers`, `apply_final_layers`.
    `apply` creates or reuses a layer *by name*, so weights are shared by using a name twice, and
    `forward` runs on symbols (to build a model) and on tensors (`step`, to decode) alike.

    Args:
        config: sizes and options.
        application: mask strategy, by name or as a `Mask`. `"encoder"` means what the family
            itself is (`native_application`: a GPT is a language model).
        pretraining_heads: which heads follow the last block.
        prefix: put before every layer name, to have two encoders in one model.
        layers: layers by name to reuse, e.g. those of another `Transformer`.
        condition: symbolic tensor (B, C) or (B, T, C) that conditional norms depend on, in place
            of an input `Input-Condition`.
        additional_inputs: symbolic inputs that `condition` is computed from.

    Class attributes, for families:
        config_class: its `TransformerConfig`.
        position: its `Position` strategy.
        native_application: the mask it was made for.
        wiring: order of norm and residual in a block, such as `block.post_norm`.
        use_bias: whether attention and feed-forward layers have biases.
        norm_layer, conditional_norm_layer: classes of its norms.
        attention_layer, attention_name: class and layer name of its attention.
        start_token: whether the first token is visible even where it has the padding id.
        feed_forward_layer: class of its feed-forward part.
    """

    config_class = TransformerConfig
    position: Position = Learned()
    native_application = "encoder"
    wiring = staticmethod(post_norm)
    use_bias = True
    norm_layer: type = keras.layers.LayerNormalization
    conditional_norm_layer: type = ConditionalLayerNormalization
    attention_layer: type = MultiHeadAttention
    attention_name = "MultiHeadSelfAttention"
    start_token = False
    feed_forward_layer: type = FeedForward

    def __init__(
        self,
        config: TransformerConfig,
        application: str | Mask = "encoder",
        pretraining_heads: PretrainingHeads | None = None,
        prefix: str = "",
        layers: Mapping[str, keras.layers.Layer] | None = None,
        condition: Any = None,
        additional_inputs: Sequence[Any] = (),
    ):
        self.config = config
        self.mask = get_mask(self.native_application if application == "encoder" else application)
        self.pretraining_heads = pretraining_heads or PretrainingHeads()
        self.prefix = prefix
        self.layers = dict(layers or {})
        self.condition = condition
        self.additional_inputs = list(additional_inputs)

    @property
    def initializer(self) -> keras.initializers.Initializer:
        """A fresh initializer of the weights (BERT's truncated normal)."""
        return keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)

    def apply(
        self, inputs: Any, layer: type, name: str, arguments: Mapping | None = None, **options: Any
    ) -> Any:
        """Call the layer of this name on `inputs`, creating it on first use.

        Args:
            inputs: a tensor, or a list of them.
            layer: class of the layer.
            name: its name, which also decides whether weights are shared.
            arguments: keyword arguments of the call.
            **options: arguments of the constructor.

        Returns:
            What the layer returns.
        """
        name = self.full_name(name)
        if name not in self.layers:
            self.layers[name] = layer(name=name, **options)
        return self.layers[name](inputs, **(arguments or {}))

    def apply_spec(self, inputs: Any, spec: LayerSpec, **options: Any) -> Any:
        """Call the layer that `spec` describes, see `apply`; `options` are added to its own."""
        return self.apply(inputs, spec.layer, spec.name, **spec.options, **options)

    def full_name(self, name: str) -> str:
        """Name of a layer in the model."""
        return f"{self.prefix}{name}"

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return self.config.num_hidden_layers

    def layer_name(self, index: int, part: str) -> str:
        """Name of a block's layer; the same for all blocks where they share weights."""
        return f"Transformer-{index}-{part}"

    def get_inputs(self) -> dict[str, Any]:
        """Symbolic inputs by name: int32 of shape (B, S) each, and float (B, C) conditions."""
        config, names = self.config, ["token_ids"]
        if config.segment_vocab_size:
            names.append("segment_ids")
        if config.custom_position_ids:
            names.append("position_ids")
        names += [name for name in self.mask.input_names if name not in names]
        inputs = {name: self.input(name) for name in names}
        if config.layer_norm_cond and self.condition is None:
            inputs["condition"] = self.input("condition", (config.layer_norm_cond,), "float32")
        return inputs

    def input(self, name: str, shape: tuple = (None,), dtype: str = "int32") -> Any:
        """A symbolic input."""
        return keras.Input(shape, dtype=dtype, name=self.full_name(input_layer_name(name)))

    def forward(self, context: Context) -> Any:
        """Embeddings, blocks, heads; the one way through the model.

        Args:
            context: inputs, and what a decoding step adds; filled in as the pass goes.

        Returns:
            The output of the last stage.
        """
        self.prepare(context)
        x = self.mask_padding(self.apply_embeddings(context), context)
        context.hidden_states.append(x)
        x = self.apply_main_layers(x, context)
        if self.mask.has_query_stream:
            x = run_query_stream(self, context)
        return self.apply_final_layers(x[:, -1:] if context.last else x, context)

    def prepare(self, context: Context) -> None:
        """Work out what every block shares: mask, positions, position bias and condition."""
        inputs, rows = context.inputs, context.rows
        context.mask = self.attention_mask(context, self.mask)
        context.key_positions = keys = self.position_ids(inputs)
        context.positions = keys if rows is None else ops.take(keys, rows, axis=1)
        context.bias = self.position_bias(context.positions, keys)
        context.condition = inputs.get("condition", self.condition)

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
        if mask.restarts_positions and set(mask.input_names) <= set(inputs):
            tokens = {key: inputs[key] for key in ("token_ids", *mask.input_names)}
            spec = position.ids(config, mask)
        else:
            tokens, spec = inputs["token_ids"], position.ids(config)
        return self.apply_spec(tokens, spec._replace(name=name or spec.name))

    def position_bias(self, positions: Tensor, key_positions: Tensor) -> Tensor | None:
        """Bias (B|1, N, T, S) that the position strategy adds to attention scores, if any."""
        spec = self.position.bias(self.config)
        if spec is None:
            return None
        ids = [positions, key_positions]
        return self.apply_spec(ids, spec, embeddings_initializer=self.initializer)

    def attention_mask(self, context: Context, strategy: Mask, name: str = "Attention-Mask") -> Any:
        """What `strategy` and the padding let the rows of this pass see, bool (B, 1, T|1, S)."""

        rows = {} if context.rows is None else {"query_index": context.rows}

        def mask(**arguments: Any) -> Any:
            return self.apply(
                dict(context.inputs),
                AttentionMask,
                name=name,
                arguments={**rows, **arguments},
                strategy=strategy,
                pad_token_id=self.config.pad_token_id,
                start_token=self.start_token,
            )

        if not context.strict:
            return mask()
        return self.apply([mask(query_stream=True), mask()], NonEmptyMask, name=f"{name}-Query")

    def mask_padding(self, x: Any, context: Context) -> Any:
        """The embeddings (B, T, D) with a Keras mask, which all layers behind them carry.

        A decoding step does without: nothing in it reads the mask.
        """
        pad_token_id, inputs = self.config.pad_token_id, context.inputs
        if pad_token_id is None or context.cache is not None or "padding_mask" in inputs:
            return x
        options = {"pad_token_id": pad_token_id, "start_token": self.start_token}
        return self.apply([x, inputs["token_ids"]], PaddingMask, name="Padding-Mask", **options)

    def select(self, context: Context, name: str) -> Any:
        """An input restricted to the rows of this pass, (B, T)."""
        tensor = context.inputs[name]
        return tensor if context.rows is None else ops.take(tensor, context.rows, axis=1)

    def apply_embeddings(self, context: Context) -> Any:
        """Sum of token, segment and position vectors, normed: (B, T, D)."""
        config = self.config
        x = self.embed_tokens(self.select(context, "token_ids"))
        if config.segment_vocab_size:
            segments = self.embed_segments(self.select(context, "segment_ids"))
            x = self.apply([x, segments], keras.layers.Add, name="Embedding-Token-Segment")
        x = self.norm_embeddings(self.embed_positions(x, context), context)
        if self.embedding_width != config.hidden_size:
            x = self.apply(
                x,
                keras.layers.Dense,
                name="Embedding-Mapping",
                units=config.hidden_size,
                use_bias=self.use_bias,
                kernel_initializer=self.initializer,
            )
        return x

    @property
    def embedding_width(self) -> int:
        """Width in which token, segment and position vectors are summed, E."""
        return self.config.embedding_size

    def embed_positions(self, x: Any, context: Context) -> Any:
        """Add the position embedding, if the family has one, to the embeddings x (B, T, E)."""
        spec = self.position.embedding(self.config, self.embedding_width)
        if spec is None:
            return x
        initializer = {"embeddings_initializer": self.initializer}
        vectors = self.apply_spec(context.positions, spec, **initializer)
        return self.apply([x, vectors], keras.layers.Add, name="Embedding-Position-Add")

    def norm_embeddings(self, x: Any, context: Context) -> Any:
        """Norm and dropout of the summed embeddings."""
        return self.dropout(self.norm(x, "Embedding-Norm", context), "Embedding-Dropout")

    def embed_segments(self, x: Any) -> Any:
        """Segment ids (B, T) to vectors (B, T, E)."""
        if self.config.shared_segment_embeddings:
            return self.embed_tokens(x)
        return self.apply(
            x,
            SegmentEmbedding,
            name="Embedding-Segment",
            constant=self.config.segment_vocab_size == 1,
            input_dim=self.config.segment_vocab_size,
            output_dim=self.embedding_width,
            embeddings_initializer=self.initializer,
        )

    def embed_tokens(self, x: Any, reverse: bool = False) -> Any:
        """Ids to vectors, or with `reverse` vectors to scores by the same (tied) table."""
        layer, options = self.token_embedding()
        arguments = {"reverse": True} if reverse else {}
        return self.apply(x, layer, name="Embedding-Token", arguments=arguments, **options)

    def token_embedding(self) -> tuple[type, dict[str, Any]]:
        """Class and arguments of the token embedding."""
        return TokenEmbedding, {
            "input_dim": self.config.vocab_size,
            "output_dim": self.config.embedding_size,
            "embeddings_initializer": self.initializer,
        }

    def norm(self, x: Any, name: str, context: Context) -> Any:
        """The family's norm over the last axis, under the condition if there is one."""
        options, layer = self.norm_options(), self.norm_layer
        if context.condition is not None:
            config, layer = self.config, self.conditional_norm_layer
            options["hidden_units"] = config.layer_norm_cond_hidden_size
            options["hidden_activation"] = config.layer_norm_cond_hidden_act
            x = [x, context.condition]
        return self.apply(x, layer, name=name, **options)

    def norm_options(self) -> dict[str, Any]:
        """Arguments of the norm layers."""
        return {"epsilon": self.config.norm_epsilon}

    def dropout(self, x: Any, name: str) -> Any:
        """Dropout at the config's rate."""
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
            "kernel_initializer": self.initializer,
        }

    def attention_arguments(self, context: Context) -> dict[str, Any]:
        """Call arguments of the attention layers."""
        arguments = {"attention_mask": context.mask}
        if context.bias is not None:
            arguments["bias"] = context.bias
        if self.position.rotates:
            arguments["positions"] = context.positions
        if context.scores is not None:
            arguments["scores"] = context.scores
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

    def apply_main_layers(self, x: Any, context: Context) -> Any:
        """The blocks; families with another wiring override `apply_block`."""
        for index in range(self.depth):
            x = self.apply_block(x, index, context)
            context.hidden_states.append(x)
        return x

    def apply_block(self, x: Any, index: int, context: Context) -> Any:
        """One block: attention and feed-forward, each with its residual connection."""
        return block(self, x, index, context)

    def apply_final_layers(self, x: Any, context: Context) -> Any:
        """The heads asked for, else the last hidden state."""
        return self.pretraining_heads.apply(self, x, context)

    def apply_pooler(self, x: Any) -> Any:
        """The head behind `with_pool` and `with_nsp`: (B, D) or (B, 2)."""
        return pooler(self, x)

    def apply_language_model(self, x: Any, context: Context) -> Any:
        """The head behind `with_mlm`: (B, T, V)."""
        return language_model(self, x, context)

    def apply_discriminator(self, x: Any) -> Any:
        """The head behind `with_discriminator`: (B, T, 1). Few families have one."""
        raise ValueError(f"{self.config.model_type} has no discriminator; ELECTRA has.")

    def step(
        self,
        inputs: Mapping[str, Any],
        rows: Any,
        cache: Mapping[int, tuple[Any, Any]],
        last: bool = False,
    ) -> tuple[Any, dict[int, tuple[Any, Any]]]:
        """Run some rows of a sequence on tensors, with the keys and values of earlier rows.

        Args:
            inputs: model inputs by name over the full, fixed length, (B, S) each. What the mask
                hides may hold anything; `valid` (B, S) may say what is no padding.
            rows: (T,) consecutive int indices of the rows to compute.
            cache: from `empty_cache`, or an earlier step.
            last: give the output for the last of these rows alone.

        Returns:
            The output for those rows, and the new cache.
        """
        context = Context(inputs, rows=rows, cache=dict(cache), start=rows[0], last=last)
        return self.forward(context), context.cache

    def empty_cache(self, batch: int, length: int) -> dict[int, tuple[Any, Any]]:
        """Zeroed keys and values for `step` by block index, (B, N, S, H) as a rule."""
        names = {
            index: self.full_name(self.layer_name(index, self.attention_name))
            for index in range(self.depth)
        }
        return {
            index: self.layers[name].empty_cache(batch, length) for index, name in names.items()
        }

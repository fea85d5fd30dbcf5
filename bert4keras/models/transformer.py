"""The assembler: plain Python that wires layers by name, in symbols or on tensors alike.

Legend: B batch, T query length, S key length, D hidden size, E embedding size, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from ..config import TransformerConfig
from ..layers import AttentionMask, TokenEmbedding
from ..masks import Mask, get_mask, input_layer_name
from ..positions import Learned, Position, PositionIds
from .block import block
from .outputs import Outputs


@dataclasses.dataclass
class Context:
    """What one forward pass shares between its layers; never kept on the builder.

    Attributes:
        inputs: model inputs by name, each over the full length (B, S).
        mask: bool (B, 1, T|1, S).
        bias: finite float (B|1, N, T, S) or None.
        positions: (B|1, T) int.
        hidden_states: output of the embeddings and of each block, (B, T, D) each.
        rows: (T,) int, the rows this pass computes; None means all S.
        cache: keys and values by layer name, replaced as the pass goes; None without caching.
        start: int scalar, first of `rows`.
    """

    inputs: Mapping[str, Any]
    mask: Any = None
    bias: Any = None
    positions: Any = None
    hidden_states: list = dataclasses.field(default_factory=list)
    rows: Any = None
    cache: dict[str, tuple[Any, Any]] | None = None
    start: Any = None


class Transformer:
    """Builds a Transformer; a family overrides one of the four stages.

    The stages are `get_inputs`, `apply_embeddings`, `apply_main_layers`, `apply_final_layers`.
    `apply` creates or reuses a layer *by name*, so weights are shared by using a name twice, and
    `forward` runs on symbols (to build a model) and on tensors (`step`, to decode) alike.

    Args:
        config: sizes and options.
        application: mask strategy, by name or as a `Mask`.
        outputs: which heads follow the last block.
        custom_position_ids: take the positions from an input `Input-Position`.
        prefix: put before every layer name, to have two encoders in one model.
        layers: layers by name to reuse, e.g. those of another `Transformer`.
    """

    position: Position = Learned()
    config_class = TransformerConfig

    def __init__(
        self,
        config: TransformerConfig,
        application: str | Mask = "encoder",
        outputs: Outputs | None = None,
        custom_position_ids: bool = False,
        prefix: str = "",
        layers: Mapping[str, keras.layers.Layer] | None = None,
    ):
        self.config = config
        self.mask = get_mask(application)
        self.outputs = outputs or Outputs()
        self.custom_position_ids = custom_position_ids
        self.prefix = prefix
        self.layers = dict(layers or {})
        if "segment_ids" in self.mask.needs and not config.segment_vocab_size:
            raise ValueError(
                f"{type(self.mask).__name__} tells source from target by segment ids, but this "
                "model has no segment input (segment_vocab_size is 0). Use application='prefix'."
            )

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
        name = f"{self.prefix}{name}"
        if name not in self.layers:
            self.layers[name] = layer(name=name, **options)
        return self.layers[name](inputs, **(arguments or {}))

    def get_inputs(self) -> dict[str, Any]:
        """Symbolic inputs by name, int32 of shape (B, S) each."""
        names = ["token_ids"]
        if self.config.segment_vocab_size:
            names.append("segment_ids")
        if self.custom_position_ids:
            names.append("position_ids")
        names += [need for need in self.mask.needs if need not in names]
        return {
            name: keras.Input((None,), dtype="int32", name=self.prefix + input_layer_name(name))
            for name in names
        }

    def forward(self, context: Context) -> Any:
        """Embeddings, blocks, heads; the one way through the model.

        Args:
            context: inputs, and what a decoding step adds; filled in as the pass goes.

        Returns:
            The output of the last stage.
        """
        self.prepare(context)
        x = self.apply_embeddings(context)
        context.hidden_states.append(x)
        x = self.apply_main_layers(x, context)
        return self.apply_final_layers(x, context)

    def prepare(self, context: Context) -> None:
        """Work out what every block shares: the mask, the positions and the position bias."""
        inputs, rows = context.inputs, context.rows
        context.mask = self.apply(
            dict(inputs),
            AttentionMask,
            name="Attention-Mask",
            arguments={} if rows is None else {"rows": rows},
            strategy=self.mask,
            pad_token_id=self.config.pad_token_id,
        )
        if "position_ids" in inputs:
            keys = inputs["position_ids"]
        else:
            keys = self.apply(inputs["token_ids"], PositionIds, name="Position-Ids")
        context.positions = keys if rows is None else ops.take(keys, rows, axis=1)
        context.bias = self.position.bias(self, context.positions, keys)

    def select(self, context: Context, name: str) -> Any:
        """An input restricted to the rows of this pass, (B, T)."""
        tensor = context.inputs[name]
        return tensor if context.rows is None else ops.take(tensor, context.rows, axis=1)

    def apply_embeddings(self, context: Context) -> Any:
        """Sum of token, segment and position vectors, normed: (B, T, D)."""
        config = self.config
        x = self.embed_tokens(self.select(context, "token_ids"))
        if config.segment_vocab_size:
            segments = self.apply(
                self.select(context, "segment_ids"),
                keras.layers.Embedding,
                name="Embedding-Segment",
                input_dim=config.segment_vocab_size,
                output_dim=config.embedding_size,
                embeddings_initializer=self.initializer,
            )
            x = self.apply([x, segments], keras.layers.Add, name="Embedding-Token-Segment")
        x = self.position.embed(self, x, context.positions)
        x = self.norm(x, "Embedding-Norm")
        x = self.dropout(x, "Embedding-Dropout")
        if config.embedding_size != config.hidden_size:
            x = self.apply(
                x,
                keras.layers.Dense,
                name="Embedding-Mapping",
                units=config.hidden_size,
                kernel_initializer=self.initializer,
            )
        return x

    def embed_tokens(self, x: Any, reverse: bool = False) -> Any:
        """Ids to vectors, or with `reverse` vectors to scores by the same (tied) table."""
        return self.apply(
            x,
            TokenEmbedding,
            name="Embedding-Token",
            arguments={"reverse": True} if reverse else {},
            input_dim=self.config.vocab_size,
            output_dim=self.config.embedding_size,
            embeddings_initializer=self.initializer,
        )

    def norm(self, x: Any, name: str) -> Any:
        """LayerNorm over the last axis."""
        return self.apply(
            x, keras.layers.LayerNormalization, name=name, epsilon=self.config.norm_epsilon
        )

    def dropout(self, x: Any, name: str) -> Any:
        """Dropout at the config's rate."""
        return self.apply(x, keras.layers.Dropout, name=name, rate=self.config.dropout_rate)

    def apply_main_layers(self, x: Any, context: Context) -> Any:
        """The blocks; families with another wiring override `apply_block`."""
        for index in range(self.config.num_hidden_layers):
            x = self.apply_block(x, index, context)
            context.hidden_states.append(x)
        return x

    def apply_block(self, x: Any, index: int, context: Context) -> Any:
        """One block: attention and feed-forward, each with its residual connection."""
        return block(self, x, index, context)

    def apply_final_layers(self, x: Any, context: Context) -> Any:
        """The heads asked for, else the last hidden state."""
        return self.outputs.apply(self, x)

    def step(
        self, inputs: Mapping[str, Any], rows: Any, cache: Mapping[str, tuple[Any, Any]]
    ) -> tuple[Any, dict[str, tuple[Any, Any]]]:
        """Run some rows of a sequence on tensors, with the keys and values of earlier rows.

        Args:
            inputs: model inputs by name over the full, fixed length, (B, S) each. What the mask
                hides may hold anything; `valid` (B, S) may say what is no padding.
            rows: (T,) consecutive int indices of the rows to compute.
            cache: from `empty_cache`, or an earlier step.

        Returns:
            The output for those rows, and the new cache.
        """
        context = Context(inputs=inputs, rows=rows, cache=dict(cache), start=rows[0])
        return self.forward(context), context.cache

    def empty_cache(self, batch: int, length: int) -> dict[str, tuple[Any, Any]]:
        """Zeroed keys and values for `step`, (B, S, N, H) per attention layer."""
        shape = (batch, length, self.config.num_attention_heads, self.config.attention_head_size)
        return {
            name: (ops.zeros(shape, layer.compute_dtype), ops.zeros(shape, layer.compute_dtype))
            for name, layer in self.layers.items()
            if hasattr(layer, "attend")
        }

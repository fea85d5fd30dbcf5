"""Two-stream attention: predict every token at its position, in any order, with shared weights.

A language model in an arbitrary order must know *which* position it is to predict, but not the
token there. So two streams run through the same layers. The content stream is the model as it is:
row i knows token i and sees the rows whose rank is not larger. The query stream starts from one
fixed token, usually [MASK], at position i; its row i sees the content rows whose rank is smaller,
and so its hidden state predicts token i. No weight belongs to only one stream.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import keras
from keras import ops

from .._serialization import serializable
from .._types import Shape, Tensor
from ..config import ConfigError
from ..masks import Mask, Permutation, get_mask
from .context import Collected, Context

if TYPE_CHECKING:
    from .transformer import Transformer


@serializable
@dataclasses.dataclass(frozen=True)
class TwoStream(Mask):
    """An `application` that predicts each token at its own position, with a second stream.

    `build_transformer_model(..., application=TwoStream(tokenizer.token_to_id("[MASK]")))` has the
    inputs and weights of the model under `order`; but row i of its output (B, T, V) is about token
    i, not about a next one. Tokens of the lowest rank are given: all see them, and none predicts
    them. (Their rows of the query stream see each other, since no row may see nothing.)

    Every family works except GAU-alpha, whose attention has no `context`, and T5, whose decoder
    has cross-attention.

    Args:
        query_token_id: id of the token that the query stream starts from.
        order: strategy with an order, or its name: `"permutation"`, `"lm"`, `"unilm"`, `"prefix"`.

    Source: Yang et al., XLNet, 2019 (arXiv:1906.08237), section 2.3.
    """

    has_query_stream = True

    query_token_id: int
    order: Mask = dataclasses.field(default_factory=Permutation)  # or a name

    def __post_init__(self):
        object.__setattr__(self, "order", get_mask(self.order))
        if isinstance(self.query_token_id, bool) or not isinstance(self.query_token_id, int):
            raise ConfigError(
                f"TwoStream takes the id of a token such as [MASK], not {self.query_token_id!r}."
            )
        if not self.order.has_order:
            raise ConfigError(
                f"TwoStream: {self.order!r} does not rank the positions, so a prediction would see "
                'its own answer. Give a mask that does, such as "permutation" or "lm".'
            )
        self._declare(
            input_names=self.order.input_names,
            restarts_positions=self.order.restarts_positions,
            fits_bands=self.order.fits_bands,
        )

    def ranks(self, inputs):
        return self.order.ranks(inputs)

    def position_mask(self, inputs):
        return self.order.position_mask(inputs)

    def visible_pairs(self, pairs, inputs, query_stream=False):
        return self.order.visible_pairs(pairs, inputs, query_stream)

    @property
    def bands(self):
        return self.order.bands


def run_query_stream(transformer: Transformer, context: Context) -> Tensor:
    """Run the query stream, the second pass through the model.

    Args:
        transformer: the assembler.
        context: of the first pass, the content stream, with its `content_states`.

    Returns:
        Last hidden state of the query stream, (B, T, D).

    Raises:
        ConfigError: a head other than the language model's, or a family that does not fit.
    """
    assert isinstance(transformer.mask, TwoStream)
    token, size = transformer.mask.query_token_id, transformer.config.vocab_size
    if not 0 <= token < size:
        raise ConfigError(f"TwoStream: {token} is not an id of the model's {size} tokens.")
    heads, own = dataclasses.asdict(transformer.pretraining_heads), ("with_mlm", "masked_positions")
    for name in (name for name, option in heads.items() if option and name not in own):
        raise ConfigError(f"TwoStream predicts tokens and has no head {name}; leave it out.")
    if context.cross is not None:
        raise ConfigError("TwoStream does not work in decoders with cross-attention.")
    if transformer.attention_layer.self_attention_only:
        raise ConfigError("TwoStream: a gated attention unit attends only to its own input.")
    collected = Collected(content_states=context.collected.content_states)
    query = dataclasses.replace(context, query_stream=True, collected=collected)
    query = transformer.prepare(query)
    inputs = dict(context.inputs)
    inputs["token_ids"] = transformer.apply(
        inputs["token_ids"], ConstantIds, name="Query-Token", token_id=token
    )
    # Only the embeddings get the constant ids: the masks need the real ones to find padding.
    x = transformer.apply_embeddings(dataclasses.replace(query, inputs=inputs))
    x = transformer.mask_padding(x, query)
    return transformer.apply_main_layers(x, query)


@serializable
class ConstantIds(keras.layers.Layer):
    """Replace every id (B, T) by one token id.

    Args:
        token_id: the id.
    """

    def __init__(self, token_id: int, **kwargs):
        super().__init__(**kwargs)
        self.token_id = token_id

    def build(self, input_shape: Shape) -> None:
        self.built = True

    def call(self, token_ids: Tensor) -> Tensor:
        return ops.full_like(token_ids, self.token_id)

    def compute_output_spec(self, token_ids):
        return keras.KerasTensor(token_ids.shape, dtype=token_ids.dtype)

    def get_config(self):
        return {**super().get_config(), "token_id": self.token_id}


@serializable
class NonEmptyMask(keras.layers.Layer):
    """Mask (B, 1, T, S) whose rows without a visible key are replaced by rows of another mask.

    Without a visible key, attention would return the mean of all values, masked ones included.

    Call arguments:
        masks: the mask, and the replacement.
    """

    def build(self, input_shape: Shape) -> None:
        self.built = True

    def call(self, masks: tuple[Tensor, Tensor]) -> Tensor:
        mask, other = masks
        return ops.where(ops.any(mask, axis=-1, keepdims=True), mask, other)

    def compute_output_spec(self, masks):
        return keras.KerasTensor(masks[0].shape, dtype="bool")

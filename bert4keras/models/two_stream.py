"""Two-stream attention: every token predicted in its place, in any order, by one set of weights.

A language model in an arbitrary order must know *which* position it is to predict, but not the
token there. So two streams run through the same layers. The content stream is the model as it is:
row i knows token i and sees the rows whose rank is not larger. The query stream starts from one
fixed token, as a rule [MASK], at position i, and its row i sees the content rows whose rank is
smaller: what it holds is a prediction of token i. No weight belongs to one stream alone.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from .._serialization import serializable
from ..config import ConfigError
from ..masks import Mask, get_mask
from .context import Collected


@serializable
@dataclasses.dataclass(frozen=True)
class TwoStream(Mask):
    """An `application` that has the model predict each token in its place, by a second stream.

    `build_transformer_model(..., application=TwoStream(tokenizer.token_to_id("[MASK]")))` has the
    inputs and weights of the model under `order` alone; its output (B, T, V) at row i is about
    token i, not about a next one. What has the lowest rank is given: seen by all, predicted by
    none. (Its rows of the query stream see what has their own rank, lest they see nothing.)

    It works with every family whose attention can look at another tensor than its input: all of
    those here but GAU-alpha, and T5, whose decoder knows what it has to predict.

    Args:
        query_token_id: id whose vector the query stream starts from.
        order: strategy with an order, or its name: `"permutation"`, `"lm"`, `"unilm"`, `"prefix"`.

    Source: Yang et al., XLNet, 2019 (arXiv:1906.08237), section 2.3.
    """

    has_query_stream = True

    query_token_id: int
    order: Mask | str = "permutation"

    def __post_init__(self):
        object.__setattr__(self, "order", get_mask(self.order))
        if isinstance(self.query_token_id, bool) or not isinstance(self.query_token_id, int):
            raise ConfigError(
                f"TwoStream takes the id of a token such as [MASK], not {self.query_token_id!r}."
            )
        if not self.order.has_order:
            raise ConfigError(
                f"TwoStream: {self.order!r} puts the positions in no order, so that a prediction "
                'would see its own answer. Give one that does, such as "permutation" or "lm".'
            )

    @property
    def input_names(self) -> tuple[str, ...]:
        return self.order.input_names

    def ranks(self, inputs):
        return self.order.ranks(inputs)

    def allowed(self, query_index, key_index, inputs):
        return self.order.allowed(query_index, key_index, inputs)

    @property
    def restarts_positions(self) -> bool:
        return self.order.restarts_positions

    def position_mask(self, inputs):
        return self.order.position_mask(inputs)

    def visible(self, inputs, query_index, key_index, query_stream=False):
        return self.order.visible(inputs, query_index, key_index, query_stream)


def run_query_stream(transformer: Any, context: Any) -> Any:
    """The second pass through the model.

    Args:
        transformer: the assembler.
        context: of the first pass, the content stream, with what its attention looked at.

    Returns:
        Last hidden state of the query stream, (B, T, D).

    Raises:
        ConfigError: a head that is not a language model's, or a model with an encoder beside it.
    """
    token, size = transformer.mask.query_token_id, transformer.config.vocab_size
    if not 0 <= token < size:
        raise ConfigError(f"TwoStream: {token} is not an id of the model's {size} tokens.")
    heads = dataclasses.asdict(transformer.pretraining_heads)
    for name in (name for name, option in heads.items() if option and name != "with_mlm"):
        raise ConfigError(f"TwoStream predicts tokens and has no head {name}; leave it out.")
    if context.cross is not None:
        raise ConfigError("TwoStream is not built for decoders that look at an encoder.")
    if transformer.attention_layer.self_attention_only:
        raise ConfigError("TwoStream: a gated attention unit attends only to its own input.")
    collected = Collected(content_states=context.collected.content_states)
    query = dataclasses.replace(context, query_stream=True, collected=collected)
    query = transformer.prepare(query)
    inputs = dict(context.inputs)
    inputs["token_ids"] = transformer.apply(
        inputs["token_ids"], ConstantIds, name="Query-Token", token_id=token
    )
    # Only the embeddings know no token: what is padding, the masks read off the true ids.
    x = transformer.apply_embeddings(dataclasses.replace(query, inputs=inputs))
    x = transformer.mask_padding(x, query)
    return transformer.apply_main_layers(x, query)


@serializable
class ConstantIds(keras.layers.Layer):
    """One token id in place of every id (B, T).

    Args:
        token_id: that id.
    """

    def __init__(self, token_id: int, **kwargs):
        super().__init__(**kwargs)
        self.token_id = token_id

    def build(self, input_shape):
        self.built = True

    def call(self, token_ids):
        return ops.full_like(token_ids, self.token_id)

    def compute_output_spec(self, token_ids):
        return keras.KerasTensor(token_ids.shape, dtype=token_ids.dtype)

    def get_config(self):
        return {**super().get_config(), "token_id": self.token_id}


@serializable
class NonEmptyMask(keras.layers.Layer):
    """A mask (B, 1, T, S) whose rows that show nothing are replaced by those of another.

    Attention in which nothing is visible is not zero but the mean of all, hidden tokens included.

    Call arguments:
        masks: the mask, and the one that stands in.
    """

    def build(self, input_shape):
        self.built = True

    def call(self, masks):
        mask, other = masks
        return ops.where(ops.any(mask, axis=-1, keepdims=True), mask, other)

    def compute_output_spec(self, masks):
        return keras.KerasTensor(masks[0].shape, dtype="bool")

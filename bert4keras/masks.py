"""Attention masks: strategies, and the one layer that turns a strategy into a mask.

A strategy is a *visibility rank* per position: position k is visible from position q when
`rank[k] <= rank[q]` and k is not padding.  That vector is all that separates an encoder, a
language model, a seq2seq model and a permutation language model; and since it is a vector, a
cached decoding step needs only the ranks of its query rows.  A rule that is not an order (a window,
documents packed into one row) is an extra rule, `allowed`; `&` combines strategies.

Legend: B batch, T query length, S key length.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from ._serialization import Configurable, revive, serializable
from ._types import Shape, Tensor

Inputs = Mapping[str, Tensor]


def input_layer_name(name: str) -> str:
    """Name of the Input layer of a model input: `"document_ids"` becomes `"Input-Document"`."""
    words = name.removesuffix("_ids").split("_")
    return "-".join(["Input", *(word.capitalize() for word in words)])


@serializable
@dataclasses.dataclass(frozen=True)
class Mask(Configurable):
    """Everything visible, as in an encoder; the base class of all strategies.

    To write a strategy, subclass (as a frozen dataclass, if it has parameters), register the class
    with `keras.saving.register_keras_serializable`, and override `ranks` or `allowed`.

    Class attributes:
        input_names: model inputs that `ranks` and `allowed` read besides `token_ids`, each an int32
            tensor of shape (B, S). `"segment_ids"` is the model's own input; any other name
            becomes an additional one after it: `"speaker_ids"` is the layer `Input-Speaker`.
        has_order: True if the strategy ranks the positions; set where `ranks` is overridden.
        has_query_stream: True if the model runs a second stream, see `models.TwoStream`.
        is_full: True if every position sees every other, so that one mask row serves all queries;
            unset where a rule is overridden.
        restarts_positions: True if a row holds several texts with their own position ids, see
            `position_mask`; set for masks that read `document_ids`.
        is_causal: True if no position sees a later one, so that a model can continue a text.
        has_target: True if a model writes segment 1 (the target) after reading segment 0.
    """

    input_names: ClassVar[tuple[str, ...]] = ()
    has_order: ClassVar[bool] = False
    has_query_stream: ClassVar[bool] = False
    is_full: ClassVar[bool] = True
    is_causal: ClassVar[bool] = False
    has_target: ClassVar[bool] = False
    restarts_positions: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "ranks" in own and "has_order" not in own:
            cls.has_order = True
        if "is_full" not in own and {"ranks", "allowed", "visible"} & own.keys():
            cls.is_full = False
        names = own.get("input_names", ())  # or a property
        if "restarts_positions" not in own and isinstance(names, tuple) and "document_ids" in names:
            cls.restarts_positions = True

    def _declare(self, **attributes: Any) -> None:
        """Set class attributes for this instance, whose fields decide them."""
        for name, value in attributes.items():
            object.__setattr__(self, name, value)  # the dataclass is frozen

    def ranks(self, inputs: Inputs) -> Tensor | None:
        """Return the visibility rank of each position, int (B|1, S); None: no order."""
        return None

    def position_mask(self, inputs: Inputs) -> Tensor | None:
        """Return which tokens count towards the position of a token, bool (B, S, S).

        The position of token i is the number of tokens j before it with `mask[:, i, j]`. None means
        that all of them count. With `document_ids` only those of the same document do. A strategy
        that overrides this must override `restarts_positions` too.
        """
        if "document_ids" not in self.input_names:
            return None
        documents = inputs["document_ids"]
        return ops.equal(documents[:, :, None], documents[:, None, :])

    def allowed(self, query_index: Tensor, key_index: Tensor, inputs: Inputs) -> Tensor | None:
        """Return the extra rule, bool (B|1, T, S); None: no rule.

        Args:
            query_index: (T,) int, index in the sequence of each query.
            key_index: (S,) int, index in the sequence of each key.
            inputs: `token_ids` and those of `input_names`, by name, each over the full length S.
        """
        return None

    def visible(
        self, inputs: Inputs, query_index: Tensor, key_index: Tensor, query_stream: bool = False
    ) -> Tensor | None:
        """Return the whole rule, bool (B|1, T, S); None: everything is visible.

        Args:
            inputs: the model inputs by name.
            query_index: (T,) int, index in the sequence of each query.
            key_index: (S,) int, `0 .. S-1`.
            query_stream: compare ranks with `<`, so that a position does not see itself.
        """
        ranks, rule = self.ranks(inputs), self.allowed(query_index, key_index, inputs)
        if ranks is not None:
            query, key = ops.take(ranks, query_index, axis=1)[:, :, None], ranks[:, None, :]
            order = key < query if query_stream else key <= query
            rule = order if rule is None else ops.logical_and(rule, order)
        return rule

    def __and__(self, other: Mask) -> Mask:
        if not isinstance(other, Mask):
            return NotImplemented
        return And(self, other)


@serializable
@dataclasses.dataclass(frozen=True)
class And(Mask):
    """Visible under both strategies; written `left & right`."""

    left: Mask
    right: Mask

    def __post_init__(self) -> None:
        left, right = self.left, self.right
        self._declare(
            input_names=tuple(dict.fromkeys((*left.input_names, *right.input_names))),
            has_order=left.has_order or right.has_order,
            is_full=left.is_full and right.is_full,
            is_causal=left.is_causal or right.is_causal,
            has_target=left.has_target or right.has_target,
            restarts_positions=left.restarts_positions or right.restarts_positions,
        )

    def position_mask(self, inputs):
        return _both(m.position_mask(inputs) for m in (self.left, self.right))

    def visible(self, inputs, query_index, key_index, query_stream=False):
        arguments = (inputs, query_index, key_index, query_stream)
        return _both(m.visible(*arguments) for m in (self.left, self.right))


def _both(rules: Iterable[Tensor | None]) -> Tensor | None:
    """Combine two rules with "and"; a rule that is None allows everything."""
    given = [rule for rule in rules if rule is not None]
    return ops.logical_and(*given) if len(given) == 2 else next(iter(given), None)


@serializable
@dataclasses.dataclass(frozen=True)
class LM(Mask):
    """Left-to-right language model: a position sees itself and all positions before it."""

    is_causal = True

    def ranks(self, inputs):
        return ops.arange(ops.shape(inputs["token_ids"])[1], dtype="int32")[None, :]


@serializable
@dataclasses.dataclass(frozen=True)
class UniLM(Mask):
    """Seq2seq in one encoder: segment 0 (source) sees itself, segment 1 (target) is causal.

    Segment ids are `0 ... 0 1 ... 1`; trailing padding may have either id.

    Source: Dong et al., Unified Language Model Pre-training, 2019 (arXiv:1905.03197).
    """

    input_names = ("segment_ids",)
    has_target = True

    def ranks(self, inputs):
        return ops.cumsum(ops.cast(inputs["segment_ids"], "int32"), axis=1)


@serializable
@dataclasses.dataclass(frozen=True)
class PrefixLM(Mask):
    """Bidirectional prefix, then a causal rest; `prefix` is 1 on the prefix and 0 after it.

    Source: Raffel et al., Exploring the Limits of Transfer Learning, 2019 (arXiv:1910.10683).
    """

    input_names = ("prefix",)

    def ranks(self, inputs):
        return ops.cumsum(1 - ops.cast(inputs["prefix"], "int32"), axis=1)


@serializable
@dataclasses.dataclass(frozen=True)
class Permutation(Mask):
    """Language model in any order: `rank[i]` is the number of position i in the sampled order.

    Positions of equal rank see each other, so `rank = 0` on a source text and `1, 2, ...` in a
    random order on the target is the permuted form of `UniLM`.

    Source: Yang et al., XLNet, 2019 (arXiv:1906.08237).
    """

    input_names = ("rank",)

    def ranks(self, inputs):
        return ops.cast(inputs["rank"], "int32")


@serializable
@dataclasses.dataclass(frozen=True)
class Window(Mask):
    """Local attention: from q, the positions `q - left ... q + right` are visible.

    Args:
        left: distance to the first visible token before q, in tokens.
        right: distance to the last visible token after q; None means `left`.

    Source: Beltagy et al., Longformer, 2020 (arXiv:2004.05150).
    """

    left: int
    right: int | None = None

    def __post_init__(self):
        for side in (self.left, self.right):
            if side is not None and (not isinstance(side, int) or side < 0):
                raise ValueError(f"Window takes non-negative whole numbers of tokens, not {side!r}")

    def allowed(self, query_index, key_index, inputs):
        distance = ops.cast(key_index, "int32")[None, :] - ops.cast(query_index, "int32")[:, None]
        right = self.left if self.right is None else self.right
        return ops.logical_and(distance >= -self.left, distance <= right)[None]


@serializable
@dataclasses.dataclass(frozen=True)
class Packed(Mask):
    """Several documents in one row: a position sees only its own document.

    `document_ids` numbers the documents of a row from 1; padding is 0. Position ids restart in
    each document, so that a document gets the same vectors as in its own row.
    """

    input_names = ("document_ids",)

    def allowed(self, query_index, key_index, inputs):
        documents = inputs["document_ids"]
        query = ops.take(documents, query_index, axis=1)[:, :, None]
        return ops.equal(query, documents[:, None, :])


@serializable
@dataclasses.dataclass(frozen=True)
class SharedPrefix(Mask):
    """One prefix and several candidate continuations in one row.

    `candidate_ids` is 0 on the prefix and 1, 2, ... on the candidates. A token sees the prefix and
    its own candidate; the prefix sees no candidate. In each candidate position ids go on from the
    prefix. So a candidate gets the same vectors as in a row with only the prefix before it, and the
    prefix is computed once.
    """

    input_names = ("candidate_ids",)
    restarts_positions = True

    def allowed(self, query_index, key_index, inputs):
        candidates = inputs["candidate_ids"]
        key = candidates[:, None, :]
        query = ops.take(candidates, query_index, axis=1)[:, :, None]
        return ops.logical_or(ops.equal(key, 0), ops.equal(key, query))

    def position_mask(self, inputs):
        index = ops.arange(ops.shape(inputs["candidate_ids"])[1], dtype="int32")
        return self.allowed(index, index, inputs)


APPLICATIONS = {
    "encoder": Mask,
    "lm": LM,
    "unilm": UniLM,
    "prefix": PrefixLM,
    "permutation": Permutation,
    "packed": Packed,
    "shared_prefix": SharedPrefix,
}


def get_mask(application: str | Mask | Mapping[str, Any] | None) -> Mask:
    """Return the `Mask` for an application name, a `Mask`, or its serialised form.

    Raises:
        ValueError: the name is unknown, or a class was given instead of an instance.
    """
    if application is None:
        return Mask()
    application = revive(application)
    if isinstance(application, Mask):
        return application
    if isinstance(application, str) and application in APPLICATIONS:
        return APPLICATIONS[application]()
    if inspect.isclass(application) and issubclass(application, Mask):
        raise ValueError(
            f"application={application.__name__} is a class; pass {application.__name__}(...)."
        )
    raise ValueError(
        f"unknown application {application!r}. Known: {', '.join(APPLICATIONS)}, "
        "or an instance of a bert4keras.masks.Mask."
    )


def padding_mask(inputs: Inputs, pad_token_id: int | None, start_token: bool = False) -> Tensor:
    """Return a mask that is False at padding, bool (B, S); arguments as of `AttentionMask`."""
    if "padding_mask" in inputs:
        return ops.cast(inputs["padding_mask"], "bool")
    token_ids = inputs["token_ids"]
    if pad_token_id is None:
        return ops.ones_like(token_ids, dtype="bool")
    mask = ops.not_equal(token_ids, pad_token_id)
    if start_token:
        # Not `arange`: Keras also computes masks on symbols, whose length is None.
        mask = ops.logical_or(mask, ops.equal(ops.cumsum(ops.ones_like(token_ids), axis=1), 1))
    return mask


@serializable
class AttentionMask(keras.layers.Layer):
    """Combine a strategy and the padding into one boolean mask, True for visible keys.

    Args:
        strategy: a `Mask`, its application name, or its serialised form.
        pad_token_id: token id of padding, which is never visible; None: no token is padding.
        start_token: the first position holds a start token, which is visible whatever its id (T5
            starts its decoder with the padding id).

    Call arguments:
        inputs: dict of int tensors (B, S): `token_ids`, the `input_names` of the strategy, and
            optionally `padding_mask` (bool or 0/1, False at padding), which then replaces the
            comparison of token ids with `pad_token_id`.
        query_index: (T,) int, index in the sequence of each query; None means all.
        query_stream: a position does not see itself, see `Mask.visible`.

    Returns:
        bool (B, 1, T, S), or (B, 1, 1, S) if the strategy is full.
    """

    def __init__(
        self,
        strategy: Mask | str = "encoder",
        pad_token_id: int | None = 0,
        start_token: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.strategy = get_mask(strategy)
        self.pad_token_id = pad_token_id
        self.start_token = start_token

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        self.built = True

    def call(
        self, inputs: Inputs, query_index: Tensor | None = None, query_stream: bool = False
    ) -> Tensor:
        key_index = ops.arange(ops.shape(inputs["token_ids"])[1], dtype="int32")
        real = padding_mask(inputs, self.pad_token_id, self.start_token)[:, None, None, :]
        query_index = key_index if query_index is None else query_index
        visible = self.strategy.visible(inputs, query_index, key_index, query_stream)
        if visible is not None and len(visible.shape) != 3:
            raise ValueError(f"the rule of {self.strategy} must be (B|1, T, S): add `[None]`.")
        return real if visible is None else ops.logical_and(visible[:, None], real)

    def compute_output_spec(self, inputs, query_index=None, query_stream=False):
        batch, length = inputs["token_ids"].shape
        queries = length if query_index is None else query_index.shape[0]
        if self.strategy.is_full:
            queries = 1
        return keras.KerasTensor((batch, 1, queries, length), dtype="bool")

    def get_config(self):
        strategy = keras.saving.serialize_keras_object(self.strategy)
        return {
            **super().get_config(),
            "strategy": strategy,
            "pad_token_id": self.pad_token_id,
            "start_token": self.start_token,
        }

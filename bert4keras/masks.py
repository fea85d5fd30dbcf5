"""Who sees whom: attention-mask strategies, and the one layer that turns them into a mask.

A strategy is a *visibility rank* per position: position k is visible from position q when
`rank[k] <= rank[q]` and k is not padding.  That vector is all that separates an encoder, a
language model, a seq2seq model and a permutation language model; and since it is a vector, a
cached decoding step needs only the ranks of its query rows.  What is no order at all (a window,
documents packed into one row) is an extra rule, `allowed`; `&` combines strategies.

Legend: B batch, T query length, S key length.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops

from ._serialization import Configurable, revive, serializable

Inputs = Mapping[str, Any]


def input_layer_name(need: str) -> str:
    """Name of the Input layer that carries `need`: `"document_ids"` is `"Input-Document"`."""
    words = need.removesuffix("_ids").split("_")
    return "-".join(["Input", *(word.capitalize() for word in words)])


@serializable
@dataclasses.dataclass(frozen=True)
class Mask(Configurable):
    """Everything visible: the encoder. Base class of all strategies.

    To write one, subclass (a frozen dataclass, if it has parameters), register it with
    `keras.saving.register_keras_serializable`, and override `ranks` or `allowed`.

    Attributes:
        needs: names of the model inputs that `ranks` and `allowed` read besides `token_ids`, each
            an int32 tensor of shape (B, S). `"segment_ids"` is the model's own; any other name
            becomes an additional model input.
    """

    needs = ()

    @property
    def hides_nothing(self) -> bool:
        """Whether the rule is known to be empty, so that one row serves all queries."""
        return type(self) is Mask

    def ranks(self, inputs: Inputs) -> Any | None:
        """Visibility rank of each position, int, shape (B|1, S); None: no order."""
        return None

    @property
    def restarts(self) -> bool:
        """Whether a row holds several texts, each with positions of its own, see `counted`."""
        return "document_ids" in self.needs

    def counted(self, inputs: Inputs) -> Any | None:
        """Which tokens the position of a token counts among those before it, bool (B, S, S).

        None: all of them. Of documents packed into one row (`document_ids`) it is those of its
        own. A strategy that overrides this overrides `restarts` too.
        """
        if "document_ids" not in self.needs:
            return None
        documents = inputs["document_ids"]
        return documents[:, :, None] == documents[:, None, :]

    def allowed(self, q_pos: Any, k_pos: Any, inputs: Inputs) -> Any | None:
        """Extra rule, bool, shape (B|1, T, S); None: no rule.

        Args:
            q_pos: (T,) int, index in the sequence of each query row.
            k_pos: (S,) int, index in the sequence of each key.
            inputs: the model inputs by name, each over the full length S.
        """
        return None

    def visible(self, inputs: Inputs, rows: Any, columns: Any, strict: bool = False) -> Any | None:
        """The whole rule, bool, shape (B|1, T, S); None: everything is visible.

        Args:
            inputs: the model inputs by name.
            rows: (T,) int, index of each query.
            columns: (S,) int, `0 .. S-1`.
            strict: compare with `<`: a position does not see itself (the query stream of
                two-stream attention).
        """
        ranks, rule = self.ranks(inputs), self.allowed(rows, columns, inputs)
        if ranks is not None:
            query, key = ops.take(ranks, rows, axis=1)[:, :, None], ranks[:, None, :]
            order = key < query if strict else key <= query
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

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.left.needs, *self.right.needs)))

    @property
    def hides_nothing(self) -> bool:
        return self.left.hides_nothing and self.right.hides_nothing

    @property
    def restarts(self) -> bool:
        return self.left.restarts or self.right.restarts

    def counted(self, inputs):
        return _both(m.counted(inputs) for m in (self.left, self.right))

    def visible(self, inputs, rows, columns, strict=False):
        return _both(m.visible(inputs, rows, columns, strict) for m in (self.left, self.right))


def _both(rules: Iterable[Any]) -> Any | None:
    """Two rules joined, of which None allows everything."""
    rules = [rule for rule in rules if rule is not None]
    return ops.logical_and(*rules) if len(rules) == 2 else next(iter(rules), None)


@serializable
@dataclasses.dataclass(frozen=True)
class LM(Mask):
    """Left-to-right language model: a position sees itself and what comes before."""

    def ranks(self, inputs):
        return ops.arange(ops.shape(inputs["token_ids"])[1], dtype="int32")[None, :]


@serializable
@dataclasses.dataclass(frozen=True)
class UniLM(Mask):
    """Seq2seq in one encoder: segment 0 (source) sees itself, segment 1 (target) is causal.

    Segment ids are `0 ... 0 1 ... 1`; trailing padding may have either id.

    Source: Dong et al., Unified Language Model Pre-training, 2019 (arXiv:1905.03197).
    """

    needs = ("segment_ids",)

    def ranks(self, inputs):
        return ops.cumsum(ops.cast(inputs["segment_ids"], "int32"), axis=1)


@serializable
@dataclasses.dataclass(frozen=True)
class PrefixLM(Mask):
    """A prefix that sees itself, then a causal rest; `prefix` is 1 on the prefix, 0 after it.

    Source: Raffel et al., Exploring the Limits of Transfer Learning, 2019 (arXiv:1910.10683).
    """

    needs = ("prefix",)

    def ranks(self, inputs):
        return ops.cumsum(1 - ops.cast(inputs["prefix"], "int32"), axis=1)


@serializable
@dataclasses.dataclass(frozen=True)
class Permutation(Mask):
    """Language model in any order: `rank[i]` is the place of position i in the sampled order.

    Positions of equal rank see each other, so `rank = 0` on a source text and `1, 2, ...` in a
    random order on the target is the permuted form of `UniLM`.

    Source: Yang et al., XLNet, 2019 (arXiv:1906.08237).
    """

    needs = ("rank",)

    def ranks(self, inputs):
        return ops.cast(inputs["rank"], "int32")


@serializable
@dataclasses.dataclass(frozen=True)
class Window(Mask):
    """Local attention: from q, the positions `q - left ... q + right` are visible.

    Args:
        left: how far back, in tokens.
        right: how far ahead; None means as far as `left`.

    Source: Beltagy et al., Longformer, 2020 (arXiv:2004.05150).
    """

    left: int
    right: int | None = None

    def __post_init__(self):
        for side in (self.left, self.right):
            if side is not None and (not isinstance(side, int) or side < 0):
                raise ValueError(f"Window takes non-negative whole numbers of tokens, not {side!r}")

    def allowed(self, q_pos, k_pos, inputs):
        distance = ops.cast(k_pos, "int32")[None, :] - ops.cast(q_pos, "int32")[:, None]
        right = self.left if self.right is None else self.right
        return ops.logical_and(distance >= -self.left, distance <= right)[None]


@serializable
@dataclasses.dataclass(frozen=True)
class Packed(Mask):
    """Several documents in one row: a position sees only its own document.

    `document_ids` numbers the documents of a row from 1; padding is 0. Positions start anew in
    each document, so that it gets the vectors it would get alone.
    """

    needs = ("document_ids",)

    def allowed(self, q_pos, k_pos, inputs):
        documents = inputs["document_ids"]
        return ops.take(documents, q_pos, axis=1)[:, :, None] == documents[:, None, :]


@serializable
@dataclasses.dataclass(frozen=True)
class Branches(Mask):
    """One text and several that continue it, in one row: a position sees the trunk and its branch.

    `branch_ids` is 0 on the trunk and 1, 2, ... on the branches, which see one another as little
    as the trunk sees them. In each branch positions go on from the trunk, so that a branch gets
    the vectors it would get as the only one, at the cost of reading the trunk once.
    """

    needs = ("branch_ids",)
    restarts = True

    def allowed(self, q_pos, k_pos, inputs):
        branches = inputs["branch_ids"]
        key, query = branches[:, None, :], ops.take(branches, q_pos, axis=1)[:, :, None]
        return ops.logical_or(key == 0, key == query)

    def counted(self, inputs):
        places = ops.arange(ops.shape(inputs["branch_ids"])[1], dtype="int32")
        return self.allowed(places, places, inputs)


APPLICATIONS = {
    "encoder": Mask,
    "lm": LM,
    "unilm": UniLM,
    "prefix": PrefixLM,
    "permutation": Permutation,
    "packed": Packed,
    "branches": Branches,
}


def get_mask(application: str | Mask | Mapping[str, Any] | None) -> Mask:
    """Turn an application name, a `Mask`, or a serialised one, into a `Mask`.

    Raises:
        ValueError: an unknown name; a class where an instance is meant.
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


def valid_tokens(inputs: Inputs, pad_token_id: int | None, start_token: bool = False) -> Any:
    """Which tokens are no padding, bool (B, S); arguments as of `AttentionMask`."""
    if "valid" in inputs:
        return ops.cast(inputs["valid"], "bool")
    token_ids = inputs["token_ids"]
    if pad_token_id is None:
        return ops.ones_like(token_ids, dtype="bool")
    valid = ops.not_equal(token_ids, pad_token_id)
    if start_token:
        # Not `arange`: Keras also works masks out on symbols, whose length is None.
        valid = ops.logical_or(valid, ops.equal(ops.cumsum(ops.ones_like(token_ids), axis=1), 1))
    return valid


@serializable
class AttentionMask(keras.layers.Layer):
    """Turns a strategy and the padding into one boolean mask, True where attention may look.

    Args:
        strategy: a `Mask`, its application name, or its serialised form.
        pad_token_id: token id that counts as padding and is never visible; None: none does.
        start_token: the first position holds a start token, which is visible whatever its id (T5
            starts its decoder with the padding id).

    Call arguments:
        inputs: dict of int tensors (B, S): `token_ids`, what the strategy `needs`, and optionally
            `valid` (bool or 0/1), which then says what is no padding in place of the token ids.
        rows: (T,) int, indices of the query rows; None means all.
        strict: a position does not see itself.

    Returns:
        bool, shape (B, 1, T, S), or (B, 1, 1, S) where the strategy hides nothing.
    """

    def __init__(
        self,
        strategy: Mask | str = "encoder",
        pad_token_id: int | None = 0,
        start_token: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.strategy = get_mask(strategy)
        self.pad_token_id = pad_token_id
        self.start_token = start_token

    def build(self, input_shape):
        self.built = True

    def call(self, inputs, rows=None, strict=False):
        columns = ops.arange(ops.shape(inputs["token_ids"])[1], dtype="int32")
        valid = valid_tokens(inputs, self.pad_token_id, self.start_token)
        visible = self.strategy.visible(inputs, columns if rows is None else rows, columns, strict)
        if visible is None:
            return valid[:, None, None, :]
        return ops.logical_and(visible[:, None], valid[:, None, None, :])

    def compute_output_spec(self, inputs, rows=None, strict=False):
        batch, length = inputs["token_ids"].shape
        queries = length if rows is None else rows.shape[0]
        if self.strategy.hides_nothing:
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

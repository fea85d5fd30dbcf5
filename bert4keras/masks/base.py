"""Attention masks: the base class of strategies, and their combination.

A strategy is a *visibility rank* per position: position k is visible from position q when
`rank[k] <= rank[q]` and k is not padding.  That vector is all that separates an encoder, a
language model, a seq2seq model and a permutation language model; and since it is a vector, a
cached decoding step needs only the ranks of its query rows.  A rule that is not an order (a window,
documents packed into one row) is an extra rule, `allowed`; `&` combines strategies. The layer that
turns a strategy into a mask is `layer.AttentionMask`.

Legend: B batch, T query length, S key length.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from keras import ops

from .._serialization import Configurable, serializable
from .._types import Tensor

if TYPE_CHECKING:
    from .bands import Band

Inputs = Mapping[str, Tensor]
"""Name of a model input, such as `segment_ids` -> its int32 tensor (B, S)."""
_LONG_TEXT = 8192  # tokens, of a text to compare bands by


def input_layer_name(name: str) -> str:
    """Name of the Input layer of a model input: `"document_ids"` becomes `"Input-Document"`."""
    words = name.removesuffix("_ids").split("_")
    return "-".join(["Input", *(word.capitalize() for word in words)])


class Pairs:
    """The pairs of queries and keys that a rule is evaluated on: here each with each, (B|1, T, S).

    A rule that takes its vectors from here also works on the pairs of a band.

    Args:
        query_index: (T,) int, index in the sequence of each query.
        key_index: (S,) int, `0 .. S-1`.
    """

    def __init__(self, query_index: Tensor, key_index: Tensor):
        self.query_index, self.key_index = query_index, key_index
        query, key = (ops.cast(index, "int32") for index in (query_index, key_index))
        self.distance = (key[None, :] - query[:, None])[None]

    def queries(self, x: Tensor) -> Tensor:
        """Return the values at the queries of a vector (B|1, S), to compare with `keys`."""
        return ops.take(x, self.query_index, axis=1)[:, :, None]

    def keys(self, x: Tensor) -> Tensor:
        """Return the values at the keys of a vector (B|1, S), to compare with `queries`."""
        return x[:, None, :]


@serializable
@dataclasses.dataclass(frozen=True)
class Mask(Configurable):
    """Everything visible, as in an encoder; the base class of all strategies.

    To write a strategy, subclass (as a frozen dataclass, if it has parameters), register the class
    with `keras.saving.register_keras_serializable`, and override `ranks`, `allowed` or `rule`.

    Class attributes:
        input_names: model inputs that the rules read besides `token_ids`, each an int32
            tensor of shape (B, S). `"segment_ids"` is the model's own input; any other name
            becomes an additional one after it: `"speaker_ids"` is the layer `Input-Speaker`.
        has_order: True if the strategy ranks the positions; set where `ranks` is overridden.
        has_query_stream: True if the model runs a second stream, see `models.TwoStream`.
        is_full: True if every position sees every other, so that one mask row serves all queries;
            unset where a rule is overridden.
        restarts_positions: True if a row holds several texts with their own position ids, see
            `position_mask`; set for masks that read `document_ids`.
        fits_bands: True if the rule can be evaluated on the pairs of some bands; False where
            `allowed` is overridden, which knows only all pairs.
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
    fits_bands: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "ranks" in own and "has_order" not in own:
            cls.has_order = True
        if "is_full" not in own and {"ranks", "allowed", "rule"} & own.keys():
            cls.is_full = False
        if "rule" in own:  # the later of `rule` and `allowed` holds, in both forms
            cls.allowed = functools.partialmethod(  # type: ignore[assignment]
                _allowed_by_rule, cls.rule
            )
            cls.fits_bands = True
        elif "allowed" in own:
            cls.rule = Mask.rule  # type: ignore[method-assign]
            cls.fits_bands = False
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

    def rule(self, pairs: Pairs, inputs: Inputs) -> Tensor | None:
        """Return the extra rule on `pairs`, bool; None: no rule.

        The form of `allowed` that attention in bands needs: its values come from `pairs.queries`,
        `pairs.keys` and `pairs.distance`, in which no axis may be counted on.
        """
        if self.fits_bands:
            return None
        return self.allowed(pairs.query_index, pairs.key_index, inputs)

    @property
    def bands(self) -> tuple[Band, ...]:
        """Bands that all visible pairs lie in, see `bands`; empty: they may be anywhere."""
        return ()

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
        return self.visible_pairs(Pairs(query_index, key_index), inputs, query_stream)

    def visible_pairs(
        self, pairs: Pairs, inputs: Inputs, query_stream: bool = False
    ) -> Tensor | None:
        """Return the whole rule on `pairs`, bool; arguments as of `visible`."""
        ranks, rule = self.ranks(inputs), self.rule(pairs, inputs)
        if ranks is not None:
            query, key = pairs.queries(ranks), pairs.keys(ranks)
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
            fits_bands=left.fits_bands and right.fits_bands,
        )

    def position_mask(self, inputs):
        return _both(m.position_mask(inputs) for m in (self.left, self.right))

    @property
    def bands(self):
        """The bands of one side, those with fewer keys, in which the other rule is evaluated."""
        sides = [mask.bands for mask in (self.left, self.right) if mask.bands]
        if not sides or not self.fits_bands:
            return ()
        bands = min(sides, key=lambda side: sum(band.candidates(_LONG_TEXT) for band in side))
        return tuple(band.causal() for band in bands) if self.is_causal else bands

    def visible_pairs(self, pairs, inputs, query_stream=False):
        both = (self.left, self.right)
        return _both(m.visible_pairs(pairs, inputs, query_stream) for m in both)


def _allowed_by_rule(
    mask: Mask, rule: Any, query_index: Tensor, key_index: Tensor, inputs: Inputs
) -> Tensor | None:
    """Evaluate the `rule` of a class as `Mask.allowed`."""
    return rule(mask, Pairs(query_index, key_index), inputs)


def _both(rules: Iterable[Tensor | None]) -> Tensor | None:
    """Combine two rules with "and"; a rule that is None allows everything."""
    given = [rule for rule in rules if rule is not None]
    return ops.logical_and(*given) if len(given) == 2 else next(iter(given), None)

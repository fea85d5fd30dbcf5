"""Strategies by rank and by text, and their names."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from keras import ops

from .._serialization import revive, serializable
from .base import Mask, Pairs


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
class Packed(Mask):
    """Several documents in one row: a position sees only its own document.

    `document_ids` numbers the documents of a row from 1; padding is 0. Position ids restart in
    each document, so that a document gets the same vectors as in its own row.
    """

    input_names = ("document_ids",)

    def rule(self, pairs, inputs):
        documents = inputs["document_ids"]
        return ops.equal(pairs.queries(documents), pairs.keys(documents))


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

    def rule(self, pairs, inputs):
        candidates = inputs["candidate_ids"]
        key = pairs.keys(candidates)
        return ops.logical_or(ops.equal(key, 0), ops.equal(key, pairs.queries(candidates)))

    def position_mask(self, inputs):
        index = ops.arange(ops.shape(inputs["candidate_ids"])[1], dtype="int32")
        return self.rule(Pairs(index, index), inputs)


APPLICATIONS = {
    "encoder": Mask,
    "lm": LM,
    "unilm": UniLM,
    "prefix": PrefixLM,
    "permutation": Permutation,
    "packed": Packed,
    "shared_prefix": SharedPrefix,
}
"""Value of `application` -> class of the mask."""


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

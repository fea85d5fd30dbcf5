"""Permutation language model with two streams, as in XLNet."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import keras
import numpy as np

from ...data.permutation import random_ranks
from ...masks import Packed, Permutation
from ...models import TwoStream, build_transformer_model
from ...models.model_config import ConfigSource
from ...tokenizers.base import TokenizerBase
from ..rows import TokenRows
from .base import (
    Arrays,
    PretrainingObjective,
    check_fraction,
    named_model,
    predictions,
    register_objective,
)


@register_objective
class PermutationLM(PretrainingObjective):
    """Predict the last tokens of a random order, each from those before it in that order.

    The tokens of a row are put into a random order; those of the last `rate` of it are predicted,
    at their positions, and the others are given. Within a document, a token sees what comes before
    it in the order. The query stream starts from the mask token, see `models.TwoStream`.

    Args:
        tokenizer: with a mask token.
        rate: share of the tokens that are predicted, between 0 and 1 (partial prediction).

    Raises:
        ValueError: a rate out of its range, or no mask token.

    Source: Yang et al., XLNet, 2019 (arXiv:1906.08237), sections 2.2 and 2.3.
    """

    name: ClassVar[str] = "permutation"
    needs_mask: ClassVar[bool] = True

    def __init__(self, tokenizer: TokenizerBase, rate: float = 1 / 6):
        super().__init__(tokenizer)
        check_fraction("rate", rate)
        self.rate = rate

    def corrupt(self, rows: TokenRows, rng: np.random.Generator) -> tuple[Arrays, np.ndarray]:
        rank = random_ranks(rows.word_ids >= 0, rng, self.rate)
        count = math.ceil(self.rate * rank.shape[1])
        positions, targets, _ = predictions(rows.token_ids, rank > 0, count)
        inputs = {"token_ids": rows.token_ids, "document_ids": rows.document_ids, "rank": rank}
        return {**inputs, "masked_positions": positions}, targets

    def build(self, checkpoint: ConfigSource, **options: Any) -> keras.Model:
        assert self.mask_id is not None
        mask = TwoStream(self.mask_id, Permutation() & Packed())
        options = {"application": mask, "with_mlm": "linear", **options}
        backbone = build_transformer_model(checkpoint, masked_positions=True, **options)
        names = ("token_ids", "document_ids", "rank", "masked_positions")
        return named_model(self.check_vocabulary(backbone), names)

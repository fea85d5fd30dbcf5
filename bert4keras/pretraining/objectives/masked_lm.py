"""Masked language model: predict hidden tokens, chosen singly, by whole words or by spans."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import keras
import numpy as np

from ...data.masking import hide_words
from ...models import build_transformer_model
from ...models.model_config import ConfigSource
from ...tokenizers.base import TokenizerBase
from ..rows import TokenRows
from .base import (
    Arrays,
    PretrainingObjective,
    check_at_least,
    check_fraction,
    named_model,
    predictions,
    register_objective,
)

_UNITS = ("words", "tokens", "spans")
_ROOM = 1.1  # room for predictions, times the mean number of a full row


@register_objective
class MaskedLM(PretrainingObjective):
    """Predict a share of the tokens from the others.

    In each row, units are drawn at random until they hold `rate` of its tokens; a unit is taken
    whole or not at all. Of the chosen units, 80 % are replaced by [MASK], 10 % by random tokens,
    and 10 % are unchanged; all are predicted. The language-model head is computed only at the
    chosen positions.

    Args:
        tokenizer: with a mask token.
        rate: share of the tokens that are predicted, between 0 and 1.
        unit: `"words"`, the words of `TokenRows.word_ids`; `"tokens"`; or `"spans"`, runs of
            consecutive words whose number is geometrically distributed.
        mean_span: mean number of words of a span, 1 or more.

    Raises:
        ValueError: an argument out of its range, or no mask token.

    Source: Devlin et al. 2019 (arXiv:1810.04805), section 3.1; whole words: Cui et al. 2019
    (arXiv:1906.08101); spans: Joshi et al. 2020 (arXiv:1907.10529).
    """

    name: ClassVar[str] = "mlm"
    needs_mask: ClassVar[bool] = True
    architecture: ClassVar[str | None] = "ForMaskedLM"

    def __init__(
        self,
        tokenizer: TokenizerBase,
        rate: float = 0.15,
        unit: str = "words",
        mean_span: float = 3.0,
    ):
        super().__init__(tokenizer)
        check_fraction("rate", rate)
        if unit not in _UNITS:
            raise ValueError(f"unit must be one of {', '.join(_UNITS)}, not {unit!r}.")
        check_at_least("mean_span", mean_span, 1)
        self.rate, self.unit, self.mean_span = rate, unit, mean_span

    def corrupt(
        self, rows: TokenRows, rng: np.random.Generator
    ) -> tuple[Arrays, Arrays | np.ndarray]:
        return self.mask_rows(rows, rng)

    def mask_rows(self, rows: TokenRows, rng: np.random.Generator) -> tuple[Arrays, np.ndarray]:
        """Hide the chosen tokens; arguments and results as of `corrupt`."""
        ids, length = rows.token_ids, rows.token_ids.shape[1]
        count = min(length, math.ceil(_ROOM * self.rate * length) + 1)
        units = self._units(rows, rng)
        chosen = choose_units(units, self.rate, count, rng)
        flat = units + length * np.arange(len(ids), dtype="int64")[:, None]  # number in all rows
        flat = np.where(units < 0, 0, flat)
        assert self.mask_id is not None
        hidden = hide_words(ids, chosen, flat, ids.size, self.plain_ids, self.mask_id, rng)
        positions, targets, _ = predictions(ids, chosen, count)
        inputs = {"token_ids": hidden, "document_ids": rows.document_ids}
        return {**inputs, "masked_positions": positions}, targets

    def _units(self, rows: TokenRows, rng: np.random.Generator) -> np.ndarray:
        """Number the units of each row from 0, (B, L); -1 for tokens that are never masked."""
        words = rows.word_ids
        plain = words >= 0
        if self.unit == "tokens":
            starts = plain.copy()
        else:
            starts = plain & (np.diff(words, axis=1, prepend=-1) != 0)
        if self.unit == "spans":
            # A word begins a span with probability 1 / mean_span, so lengths are geometric. The
            # first word of a text always does: the token before it is special, or of another text.
            document = rows.document_ids
            first = np.diff(document, axis=1, prepend=0) != 0
            first[:, 1:] |= ~plain[:, :-1]
            starts &= first | (rng.random(words.shape) < 1 / self.mean_span)
        return np.where(plain, np.cumsum(starts, axis=1) - 1, -1)

    def build(self, checkpoint: ConfigSource, **options: Any) -> keras.Model:
        options = {"application": "packed", "with_mlm": "linear", **options}
        backbone = build_transformer_model(checkpoint, masked_positions=True, **options)
        names = ("token_ids", "document_ids", "masked_positions")
        return named_model(self.check_vocabulary(backbone), names)


def choose_units(units: np.ndarray, rate: float, most: int, rng: np.random.Generator) -> np.ndarray:
    """Draw units of each row in random order until they hold a share of its tokens.

    The last unit is taken if more than half of it fits, so that long units do not lower the share.

    Args:
        units: (B, L) int, number of the unit of each token, from 0 in each row; -1: of none.
        rate: the share.
        most: largest number of tokens of a row.
        rng: source of randomness.

    Returns:
        bool (B, L), True for the tokens of the chosen units.
    """
    batch, length = units.shape
    plain = units >= 0
    flat = (units + length * np.arange(batch)[:, None])[plain]
    sizes = np.bincount(flat, minlength=units.size).reshape(units.shape)
    order = np.argsort(np.where(sizes > 0, rng.random(units.shape), 2.0), axis=1)
    ordered = np.take_along_axis(sizes, order, axis=1)
    total = np.cumsum(ordered, axis=1)
    budget = rate * plain.sum(axis=1, keepdims=True)
    taken = (total - ordered / 2 <= budget) & (total <= most) & (ordered > 0)
    by_unit = np.empty_like(taken)
    np.put_along_axis(by_unit, order, taken, axis=1)
    return np.take_along_axis(by_unit, np.maximum(units, 0), axis=1) & plain

"""Packed rows of tokens, from which every pretraining objective makes its inputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class TokenRows(NamedTuple):
    """B packed rows of L tokens; int32 arrays of shape (B, L).

    Attributes:
        token_ids: with the special tokens around each text; padded with the tokenizer's padding
            id, or 0 if it has none.
        document_ids: 1, 2, ... for the texts of a row; 0 is padding.
        word_ids: number of the word of each token, from 0 in each row and growing along it; -1 for
            special tokens and padding. Tokens with -1 are never masked.
    """

    token_ids: np.ndarray
    document_ids: np.ndarray
    word_ids: np.ndarray

    def take(self, index: slice | np.ndarray) -> TokenRows:
        """Return some of the rows."""
        return TokenRows(*(array[index] for array in self))

    @classmethod
    def concatenate(cls, parts: list[TokenRows]) -> TokenRows:
        """Join rows of the same length."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

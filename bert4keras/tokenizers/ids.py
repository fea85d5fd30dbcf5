"""Token ids that carry the id of the padding token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class TokenIds(list):
    """List of token ids with the padding id of their tokenizer; slices and sums keep it.

    Args:
        ids: token ids.
        pad_token_id: padding id of the tokenizer that made them; None if it has none.
    """

    def __init__(self, ids: Iterable[int] = (), pad_token_id: int | None = None):
        super().__init__(ids)
        self.pad_token_id = pad_token_id

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return TokenIds(found, self.pad_token_id) if isinstance(index, slice) else found

    def __add__(self, other: list) -> TokenIds:
        return TokenIds(super().__add__(other), self.pad_token_id)

    def __radd__(self, other: list) -> TokenIds:
        return TokenIds(list(other) + list(self), self.pad_token_id)

    def copy(self) -> TokenIds:
        return self[:]

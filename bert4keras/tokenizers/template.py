"""Template of the special tokens around a text and around a pair of texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeVar

from ..data.padding import truncate_sequences

_T = TypeVar("_T")  # an id, or a span

PATTERN = re.compile(r"(S?)\*(E?)([SE]?)\*\2")


@dataclass(frozen=True)
class SpecialTokensTemplate:
    """Places of the start and the end token.

    Attributes:
        head, tail: True: a start token precedes, an end token follows each text.
        lead: the token before the second text of a pair, in place of its head: "S", "E" or "".
    """

    head: bool
    tail: bool
    lead: str

    @classmethod
    def parse(
        cls, pattern: str, has_start: bool = True, has_end: bool = True
    ) -> SpecialTokensTemplate:
        """Parse the pattern of a pair: * is a text, S the start token, E the end token.

        "S*E*E" is BERT's, "S*EE*E" RoBERTa's, "*E*E" T5's, "**" adds no token.

        Args:
            pattern: the pattern.
            has_start, has_end: False: the tokenizer has no such token, so it is left out.
        """
        match = PATTERN.fullmatch(pattern) if isinstance(pattern, str) else None
        if match is None:
            raise ValueError(
                "A pattern is a pair of texts (*) with start (S) and end (E) tokens: S*E*E, "
                f"S*ES*E, S*EE*E, *E*E, or ** without any; not {pattern!r}."
            )
        head, tail, lead = match.groups()
        known = {"S": has_start, "E": has_end, "": True}
        return cls(bool(head) and has_start, bool(tail) and has_end, lead if known[lead] else "")

    def wrap(self, items: list[_T], start: _T | None, end: _T | None) -> list[_T]:
        """Put start and end around the items of one text."""
        return [*([start] if self.head else ()), *items, *([end] if self.tail else ())]

    def size(self, first: list[_T], second: list[_T] | None) -> int:
        """Return the number of items that `join` without `maxlen` returns."""
        return len(first) + (0 if second is None else len(second) - self.head + len(self.lead))

    def join(
        self,
        first: list[_T],
        second: list[_T] | None,
        specials: tuple[_T | None, _T | None],
        maxlen: int | None = None,
        truncate_from: str | int = "right",
    ) -> tuple[list[_T], int]:
        """Truncate wrapped texts to `maxlen` items in total, and join them.

        The items are ids or offsets. With L the lengths of the wrapped texts, a pair has
        L1 + L2 - head + len(lead) items, because the lead replaces the head of the second text.

        Args:
            first, second: wrapped items of the texts; truncated in place.
            specials: items of the start and of the end token.
            maxlen, truncate_from: as in `TokenizerBase.encode`.

        Returns:
            The items, and the number of them that belong to the first text.
        """
        if maxlen is not None:
            self._truncate(maxlen, truncate_from, first, second)
        if second is None:
            return first, len(first)
        lead: list[Any] = [specials["SE".index(self.lead)]] if self.lead else []
        return [*first, *lead, *second[self.head :]], len(first)

    def _truncate(
        self, maxlen: int, truncate_from: str | int, first: list, second: list | None
    ) -> None:
        """Remove items from the longer text until both, joined, have at most `maxlen`.

        The index at which they are removed keeps head and tail: `-1 - tail` is the last item
        before the tail, `head` the first one behind the head.
        """
        if truncate_from == "right":
            index = -1 - self.tail
        elif truncate_from == "left":
            index = int(self.head)
        elif isinstance(truncate_from, int):
            index = truncate_from
        else:
            raise ValueError(
                f"truncate_from must be 'right', 'left' or an index, not {truncate_from!r}."
            )
        parts = [first] if second is None else [first, second]
        # The lead replaces the head of the second text only after truncation.
        extra = 0 if second is None else self.head - len(self.lead)
        special = (self.head + self.tail) * len(parts)
        if maxlen + extra < special:
            raise ValueError(
                f"maxlen={maxlen} leaves no room for the {special - extra} special tokens."
            )
        truncate_sequences(maxlen + extra, index, *parts)

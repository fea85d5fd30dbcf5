"""Special tokens around a text and around a pair, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..data.padding import truncate_sequences

PATTERN = re.compile(r"(S?)\*(E?)([SE]?)\*\2")


@dataclass(frozen=True)
class SpecialTokensTemplate:
    """Where the start and the end token stand.

    Attributes:
        head, tail: whether the start token stands before a text, the end token behind it.
        lead: what stands before the second text of a pair: "S", "E" or nothing.
    """

    head: bool
    tail: bool
    lead: str

    @classmethod
    def parse(
        cls, pattern: str, has_start: bool = True, has_end: bool = True
    ) -> SpecialTokensTemplate:
        """Read a pattern of a pair: * is a text, S the start token, E the end token.

        "S*E*E" is BERT's, "S*EE*E" RoBERTa's, "*E*E" T5's, "**" puts nothing.

        Args:
            pattern: the pattern.
            has_start, has_end: whether there are such tokens; one that is not there is left out.
        """
        match = PATTERN.fullmatch(pattern) if isinstance(pattern, str) else None
        if match is None:
            raise ValueError(
                "A pattern is a pair of texts (*) with start (S) and end (E) tokens: S*E*E, "
                f"S*ES*E, S*EE*E, *E*E, or ** for none; not {pattern!r}."
            )
        head, tail, lead = match.groups()
        known = {"S": has_start, "E": has_end, "": True}
        return cls(bool(head) and has_start, bool(tail) and has_end, lead if known[lead] else "")

    def wrap(self, items: list, start: Any, end: Any) -> list:
        """The items of one text between their start and end."""
        return [*([start] if self.head else ()), *items, *([end] if self.tail else ())]

    def size(self, first: list, second: list | None) -> int:
        """How many items `join` makes of wrapped texts without a `maxlen`."""
        return len(first) + (0 if second is None else len(second) - self.head + len(self.lead))

    def join(
        self,
        first: list,
        second: list | None,
        specials: tuple[Any, Any],
        maxlen: int | None = None,
        truncate_from: str | int = "right",
    ) -> tuple[list, int]:
        """Truncate wrapped texts to `maxlen` items together, and join them.

        Args:
            first, second: wrapped items of the texts; they are changed.
            specials: items of the start and of the end token.
            maxlen, truncate_from: as in `TokenizerBase.encode`.

        Returns:
            The items, and how many of them belong to the first text.
        """
        if maxlen is not None:
            self._truncate(maxlen, truncate_from, first, second)
        if second is None:
            return first, len(first)
        lead = [specials["SE".index(self.lead)]] if self.lead else []
        return [*first, *lead, *second[self.head :]], len(first)

    def _truncate(self, maxlen, truncate_from, first: list, second: list | None) -> None:
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
        # The head of the second text gives way to the lead only after truncation.
        extra = 0 if second is None else self.head - len(self.lead)
        frame = (self.head + self.tail) * len(parts)
        if maxlen + extra < frame:
            raise ValueError(
                f"maxlen={maxlen} leaves no room for the {frame - extra} special tokens."
            )
        truncate_sequences(maxlen + extra, index, *parts)

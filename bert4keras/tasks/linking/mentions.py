"""Names in a text, and the entities that each may mean."""

from __future__ import annotations

import collections
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..._folding import fold_by_character
from ...tokenizers.spans import Span
from ..alignment import align_entities


class Mention(NamedTuple):
    """Name in a text and the entities it may mean.

    Attributes:
        start, end: characters `[start, end)` of the text.
        candidates: ids of the entities it may mean; None: all entities of that name.
        priors: for each candidate the logarithm of its prior probability, such as its share of all
            links from this name; empty if unknown.
    """

    start: int
    end: int
    candidates: tuple[str, ...] | None = None
    priors: tuple[float, ...] = ()


class AliasTrie:
    """Trie of the names of all entities, to find them in texts.

    Case and full or half width are ignored. In scripts with blanks between words a name matches
    only whole words: "Rome" is not found in "Romeo".

    Args:
        aliases: for each entity id its names.

    Raises:
        ValueError: no names, an empty name, or a string in place of a list of names.

    Source: candidate search by maximal matching as in Su Jianlin's baseline for entity linking of
    CCKS 2019 (https://kexue.fm/archives/6919).
    """

    def __init__(self, aliases: Mapping[str, Iterable[str]]):
        self._entities: dict[str, dict[str, None]] = collections.defaultdict(dict)
        for entity, names in aliases.items():
            if isinstance(names, str):
                raise ValueError(f"The names of {entity!r} are a list of strings, not {names!r}.")
            for name in names:
                if not name.strip():
                    raise ValueError(f"Entity {entity!r} has an empty name; leave it out.")
                self._entities[fold_by_character(name.strip())][entity] = None
        if not self._entities:
            raise ValueError("There is no name to look for: the aliases are empty.")
        self._root: dict = {}
        for name in self._entities:
            self._insert(name)

    def __len__(self) -> int:
        return len(self._entities)

    def __contains__(self, name: str) -> bool:
        return fold_by_character(name.strip()) in self._entities

    def candidates(self, name: str) -> tuple[str, ...]:
        """Return the ids of the entities with this name, in the order of `aliases`."""
        return tuple(self._entities.get(fold_by_character(name.strip()), ()))

    def find(self, text: str) -> list[Mention]:
        """Find names in a text from left to right, the longest match at each place."""
        folded, found, start = fold_by_character(text), [], 0
        while start < len(folded):
            end = self._longest(folded, start)
            if end:
                found.append(Mention(start, end, tuple(self._entities[folded[start:end]])))
            start = end or start + 1
        return found

    def prune(
        self, texts: Sequence[str], spans: Sequence[Iterable[Span]], ratio: float = 5.0
    ) -> list[str]:
        """Drop names that are nearly always ordinary words, such as the film "Today".

        Args:
            texts: texts with known mentions.
            spans: for each text the character spans `[start, end)` of its mentions.
            ratio: drop a name if (wrong + 1) / (right + 1) is at least this; wrong and right count
                its occurrences outside and at mentions.

        Returns:
            The dropped names, in lower case.

        Raises:
            ValueError: different numbers of texts and of lists of spans.
        """
        if len(texts) != len(spans):
            raise ValueError(f"{len(spans)} lists of spans for {len(texts)} texts.")
        right, wrong = collections.Counter(), collections.Counter()
        for text, gold in zip(texts, spans, strict=True):
            gold = {tuple(span) for span in gold}
            for mention in self.find(text):
                name = fold_by_character(text[mention.start : mention.end])
                (right if mention[:2] in gold else wrong)[name] += 1
        dropped = sorted(n for n in wrong if (wrong[n] + 1) / (right[n] + 1) >= ratio)
        for name in dropped:
            del self._entities[name]
            self._walk(name).pop(_END)
        return dropped

    def _insert(self, name: str) -> None:
        node = self._root
        for char in name:
            node = node.setdefault(char, {})
        node[_END] = True

    def _walk(self, name: str) -> dict:
        node = self._root
        for char in name:
            node = node[char]
        return node

    def _longest(self, text: str, start: int) -> int:
        """Return the end of the longest name that begins at `start`; 0 if there is none."""
        if start and _joined(text[start - 1], text[start]):
            return 0
        node, longest = self._root, 0
        for place in range(start, len(text)):
            node = node.get(text[place])
            if node is None:
                break
            whole = place + 1 == len(text) or not _joined(text[place], text[place + 1])
            if _END in node and whole:
                longest = place + 1
        return longest


def name_boundary_flags(spans: Iterable[Span], offsets: Sequence[Span]) -> np.ndarray:
    """Mark the tokens at which a name begins and ends.

    Args:
        spans: characters `[start, end)` of the names. A name that begins or ends inside a token is
            widened to the whole token; a truncated name is skipped.
        offsets: (start, end) of each token in characters; (0, 0) for special tokens.

    Returns:
        int32 (T, 2): 1 at the first, and at the last, token of a name.
    """
    flags = np.zeros((len(offsets), 2), "int32")
    length = max((end for _, end in offsets), default=0)
    given = [(*span, "") for span in spans]
    for start, end, _ in align_entities(given, offsets, overlap=True, length=length).entities:
        flags[start, 0] = flags[end - 1, 1] = 1
    return flags


_END = ""  # key of a node where a name ends; never a character


def _joined(left: str, right: str) -> bool:
    """Return whether neighbouring characters belong to one word of a script with blanks."""
    return _in_word(left) and _in_word(right)


def _in_word(char: str) -> bool:
    """Return whether a character is a letter, digit or accent of a script with blanks."""
    blanks = char < "\u0e00" or "\u1e00" <= char < "\u2e80"  # excluded: Thai, Khmer, ..., and CJK
    return blanks and (char.isalnum() or unicodedata.combining(char) > 0)

"""Names that a text mentions, and what each may mean."""

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
    """A name in a text and what it may mean.

    Attributes:
        start, end: characters `[start, end)` of the text.
        candidates: ids of the entities it may mean; None: those of that name.
        priors: of each candidate the logarithm of its probability before the text is read, such
            as its share of the links from this name; empty where nothing is known.
    """

    start: int
    end: int
    candidates: tuple[str, ...] | None = None
    priors: tuple[float, ...] = ()


class AliasTrie:
    """The names of all entities, to be found in texts.

    Upper and lower case, full and half width are the same; in scripts that put blanks between words
    a name is found as whole words alone, since "Rome" is not in "Romeo".

    Args:
        aliases: the names of each entity by its id.

    Raises:
        ValueError: no name at all, or an empty one, whose entity is named; a string in place of a
            list of names.

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
        """Ids of the entities that bear a name, in the order in which they were given."""
        return tuple(self._entities.get(fold_by_character(name.strip()), ()))

    def find(self, text: str) -> list[Mention]:
        """The names in a text from left to right: at each place the longest that fits."""
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
        """Drop names that are nearly always no mention, such as a film called "Today".

        Args:
            texts: texts whose mentions are known.
            spans: for each text the character spans `[start, end)` of its mentions.
            ratio: a name goes if (wrong + 1) / (right + 1), of the places where it was found, is
                at least this.

        Returns:
            The names dropped, in lower case.

        Raises:
            ValueError: not as many texts as lists of spans.
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
        """End of the longest name that begins at `start`; 0 if there is none."""
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
        spans: characters `[start, end)` of the names. One that begins or ends inside a token is
            widened; one that was cut off is left out.
        offsets: of each token its characters; (0, 0) for special tokens.

    Returns:
        int32 (T, 2), 1 at the first, and at the last, token of a name.
    """
    flags = np.zeros((len(offsets), 2), "int32")
    length = max((end for _, end in offsets), default=0)
    given = [(*span, "") for span in spans]
    for start, end, _ in align_entities(given, offsets, overlap=True, length=length).entities:
        flags[start, 0] = flags[end - 1, 1] = 1
    return flags


_END = ""  # the key of a node where a name ends; no character is empty


def _joined(left: str, right: str) -> bool:
    """Tell whether neighbouring characters belong to one word of a script with blanks."""
    return _in_word(left) and _in_word(right)


def _in_word(char: str) -> bool:
    """A letter, a digit or an accent; of Thai and what follows it in Unicode, and CJK, none."""
    blanks = char < "\u0e00" or "\u1e00" <= char < "\u2e80"  # between these: Thai, Khmer, ...
    return blanks and (char.isalnum() or unicodedata.combining(char) > 0)

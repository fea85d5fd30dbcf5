"""Tokens of `CCKS2019Linker`: characters, words in Latin letters, and numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from .knowledge_base import KnowledgeBase
from .mentions import AliasTrie
from .samples import LinkedText

_TOKEN = re.compile(r"[0-9A-Za-z\u00c0-\u024f]+|\S")


def token_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of each character, each word in Latin letters and each number."""
    return [token.span() for token in _TOKEN.finditer(text)]


def frequent_tokens(
    samples: Iterable[LinkedText], base: KnowledgeBase, min_count: int
) -> list[str]:
    """Return the tokens with at least `min_count` occurrences in texts and descriptions.

    Names in the texts are not counted: names at inference are unknown to the model, so those in
    training should be too.

    Args:
        samples: training texts.
        base: gives the names, and the descriptions of the entities that the texts may mean.
        min_count: minimum number of occurrences.
    """
    counts: Counter[str] = Counter()
    known: dict[str, None] = {}
    for sample in samples:
        mentions = base.find(sample.text)
        known |= dict.fromkeys(entity for m in mentions for entity in m.candidates or ())
        ends = [0, *(place for m in mentions for place in m[:2]), None]
        for start, end in zip(ends[::2], ends[1::2], strict=True):
            counts.update(_TOKEN.findall(sample.text[start:end]))
    for text in {base[entity].text for entity in known}:
        counts.update(_TOKEN.findall(text))
    return sorted(token for token, times in counts.items() if times >= min_count)


def shared_tokens(text: Sequence[str], description: Sequence[str]) -> np.ndarray:
    """Mark the tokens and the pairs of tokens of a text that a description also contains.

    Returns:
        float32 (T, 2): 1 where a shared token, and a shared pair, begins.
    """
    columns = []
    for n in (1, 2):
        runs = {tuple(description[i : i + n]) for i in range(len(description) - n + 1)}
        columns.append([tuple(text[i : i + n]) in runs for i in range(len(text))])
    return np.array(columns, "float32").T


class WordFinder:
    """Find words of a list in a text by longest match.

    Args:
        words: the words; their numbers start at 1.
    """

    def __init__(self, words: Sequence[str]):
        self.words = list(words)
        self._numbers = {word: number for number, word in enumerate(self.words, 1)}
        self._trie = AliasTrie({word: [word] for word in self.words})

    def numbers(self, text: str) -> np.ndarray:
        """Return the number of each character's word, 0 without one: int32 (len(text),)."""
        found = np.zeros(len(text), "int32")
        for mention in self._trie.find(text):
            found[mention.start : mention.end] = self._numbers[(mention.candidates or ("",))[0]]
        return found

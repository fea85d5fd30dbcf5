"""Tokens of the linker without a pretrained encoder: characters, and words in Latin letters."""

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
    """(start, end) of each character, of each word in Latin letters and of each number."""
    return [token.span() for token in _TOKEN.finditer(text)]


def frequent_tokens(
    samples: Iterable[LinkedText], base: KnowledgeBase, min_count: int
) -> list[str]:
    """Tokens that occur at least so often in texts without their names, and in descriptions.

    The names of the training texts are then as unknown to a model as those it will meet.

    Args:
        samples: training texts.
        base: whose names are left out; the entities that the texts may mean are counted.
        min_count: the least number of occurrences.
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
    """Mark the tokens of a text, and the pairs of them, that a description has too.

    Returns:
        float32 (T, 2), 1 at the first token of what both have.
    """
    columns = []
    for n in (1, 2):
        runs = {tuple(description[i : i + n]) for i in range(len(description) - n + 1)}
        columns.append([tuple(text[i : i + n]) in runs for i in range(len(text))])
    return np.array(columns, "float32").T


class WordFinder:
    """Words of a text by the longest match.

    Args:
        words: the words; their numbers count from 1.
    """

    def __init__(self, words: Sequence[str]):
        self.words = list(words)
        self._numbers = {word: number for number, word in enumerate(self.words, 1)}
        self._trie = AliasTrie({word: [word] for word in self.words})

    def numbers(self, text: str) -> np.ndarray:
        """For each character the number of its word, 0 if there is none: int32 (len(text),)."""
        found = np.zeros(len(text), "int32")
        for mention in self._trie.find(text):
            found[mention.start : mention.end] = self._numbers[(mention.candidates or ("",))[0]]
        return found

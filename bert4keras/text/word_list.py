"""A list of words with their counts, which cuts texts: the most probable sequence of its words."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .._files import atomic_file
from .._folding import fold_by_character
from ..data import DataFileError
from ..data.text_blocks import read_blocks
from .units import BREAK, UnitVocabulary

_LINE = re.compile(r"(.+?)[ \t]+([0-9]+)(?:[ \t]+\S+)?")


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    """Append a unit that is in no word, or a punctuation mark, which joins an equal one before."""
    repeats = spans and spans[-1][1] == start and text[start] == text[start - 1]
    if repeats and not text[start].isalnum():
        spans[-1] = spans[-1][0], end
    else:
        spans.append((start, end))


def _lines(block: str) -> list[str]:
    return block.removesuffix("\n").split("\n")


class Word(NamedTuple):
    """A word and its figures.

    Attributes:
        text: the word, without case and full-width forms.
        count: how often it occurs.
        pmi: pointwise mutual information at its weakest place, in nats; nan if it is not known.
    """

    text: str
    count: int
    pmi: float = math.nan


class WordList(Sequence[Word]):
    """Words, the most frequent first, and a segmenter that cuts texts into them.

    A text is cut into the words w whose product of probabilities p(w) = count / sum of all counts
    is largest (a unigram model, as in jieba; found by dynamic programming). A unit that is in no
    word is a word with a count of 1. Each run of one punctuation mark is a word.

    A list is a function text -> words, which tokenizers take:
    `Tokenizer.from_pretrained(directory, pre_tokenize=words)`.

    Args:
        words: `Word`s, or pairs (text, count).

    Raises:
        ValueError: a word twice, without a unit of text, or with a count below 1.

    Example:
        >>> words = find_words("corpus.txt", min_count=10)
        >>> words.cut("自然语言处理很有趣")
        >>> words.save("words.txt")
    """

    def __init__(self, words: Iterable[Word | tuple[str, int]]):
        given = [Word(*word) for word in words]
        self._words = sorted(given, key=lambda word: (-word.count, word.text))
        self._vocabulary, self._logs = UnitVocabulary(), {}
        self._total = math.log(max(1, sum(word.count for word in given)))
        self._longest = 1
        for word in given:
            codes, *_ = self._vocabulary.find(word.text)
            key = tuple(codes.tolist())
            if not key or BREAK in key:
                raise ValueError(f"{word.text!r} is no word: it has a blank or a punctuation mark.")
            if key in self._logs:
                raise ValueError(f"The word {word.text!r} is given twice (case does not count).")
            if word.count < 1:
                raise ValueError(
                    f"The word {word.text!r} has the count {word.count}, not 1 or more."
                )
            self._logs[key] = math.log(word.count) - self._total
            self._longest = max(self._longest, len(key))

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, index):
        return self._words[index]

    def __repr__(self) -> str:
        first = ", ".join(f"{word.text} {word.count}" for word in self._words[:5])
        return f"{type(self).__name__}({len(self)} words: {first}{', ...' * (len(self) > 5)})"

    def __call__(self, text: str) -> list[str]:
        return self.cut(text)

    def cut(self, text: str) -> list[str]:
        """Cut a text into consecutive words, as they are written in it, without blanks."""
        return [text[start:end] for start, end in self.spans(text)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Find the words of a text: (start, end) of each, in characters."""
        codes, starts, ends = (part.tolist() for part in self._vocabulary.find(text, grow=False))
        spans, first = [], 0
        for i in range(len(codes) + 1):
            if i == len(codes) or codes[i] == BREAK:
                spans += [(starts[a], ends[b - 1]) for a, b in self._best_path(codes, first, i)]
                first = i + 1
                if i < len(codes) and not text[starts[i]].isspace():
                    _append(spans, text, starts[i], ends[i])
        return spans

    def save(self, path: str | os.PathLike) -> None:
        """Write a word and its count on each line, the form of jieba's dictionaries (UTF-8)."""
        with atomic_file(path) as staging:
            text = "".join(f"{word.text} {word.count}\n" for word in self._words)
            staging.write_bytes(text.encode("utf-8"))

    @classmethod
    def load(cls, path: str | os.PathLike, encoding: str | None = None) -> WordList:
        """Read what `save` wrote, or a dictionary of jieba: `word count [tag]` on each line.

        Words that differ only in case are added up. Those with a punctuation mark, which no text is
        cut into, are left out with a warning.

        Raises:
            DataFileError: the file cannot be read, or a line has no count.
        """
        words: Counter[str] = Counter()
        lines = (line for block in read_blocks(path, encoding) for line in _lines(block))
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            match = _LINE.fullmatch(line.strip())
            if not match or not int(match[2]):
                reason = f"expected a word, a blank and a count above 0, not {line[:60]!r}"
                raise DataFileError.at(path, number, reason)
            words[fold_by_character(match[1])] += int(match[2])
        vocabulary = UnitVocabulary()
        left = [word for word in words if BREAK in vocabulary.encode(word)]
        if left:
            warnings.warn(
                f"{os.fspath(path)}: {len(left)} words are left out, as they have punctuation "
                f"marks: {', '.join(left[:5])}.",
                UserWarning,
            )
        return cls((word, words[word]) for word in words.keys() - set(left))

    def _best_path(self, codes: list[int], first: int, end: int) -> list[tuple[int, int]]:
        """Return (start, end) of the words of the most probable cut of codes[first:end]."""
        best = [0.0] + [-math.inf] * (end - first)
        back = [0] * (end - first + 1)
        for stop in range(1, end - first + 1):
            for start in range(stop - 1, max(-1, stop - 1 - self._longest), -1):
                word = tuple(codes[first + start : first + stop])
                log = self._logs.get(word, -self._total if stop - start == 1 else None)
                if log is not None and best[start] + log > best[stop]:
                    best[stop], back[stop] = best[start] + log, start
        words, stop = [], end - first
        while stop:
            words.append((first + back[stop], first + stop))
            stop = back[stop]
        return words[::-1]

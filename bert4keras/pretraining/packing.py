"""Texts to packed rows: tokens, numbers of words, and rows with hardly any padding.

A text that is longer than a row is cut into rows. What is left of it, and short texts, are packed:
the longest piece that fits goes into the row; if none fits, a piece is cut to fill it. So only rows
that lack less than a hundredth, and the last one, have padding.

Legend: V vocabulary, L tokens of a row.
"""

from __future__ import annotations

import bisect
import importlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ..tokenizers.base import TokenizerBase
from ..tokenizers.characters import is_cjk, is_punctuation
from ..tokenizers.spans import locate_words
from .rows import TokenRows

_Segmenter: TypeAlias = Callable[[str], Iterable[str]]
_SHORTEST = 8  # tokens of a piece that is cut from another


class _Placement(NamedTuple):
    """Place of a piece: tokens [start, end) of text `text` in row `row`, from position `at` on."""

    row: int
    at: int
    text: int
    start: int
    end: int


class RowPacker:
    """Tokenizer and packer of texts; it can be sent to another process.

    Args:
        tokenizer: of the model.
        length: tokens of a row, L.
        words: words for whole-word masking. None: from the tokens, so that a token which continues
            a word ("##ing") belongs to it, and each Chinese character is a word. `"spaces"`: the
            parts of a text between blanks, for texts that are segmented already. A function text ->
            list of its consecutive words, such as `jieba.lcut`, or its name, `"jieba:lcut"`.
        max_text: most tokens of a text, for models with fewer positions than L; None: L.

    Raises:
        ValueError: a length without room for text, or a function that cannot be found.
    """

    def __init__(
        self,
        tokenizer: TokenizerBase,
        length: int,
        words: str | _Segmenter | None = None,
        max_text: int | None = None,
    ):
        self.tokenizer, self.length = tokenizer, length
        around = tokenizer.encode("")[0]
        self.head = [i for i in around[:1] if i == tokenizer.cls_token_id and len(around) > 1]
        self.tail = around[len(self.head) :]
        if not around and tokenizer.sep_token_id is not None:
            self.tail = [tokenizer.sep_token_id]  # a GPT, whose texts are separated by it
        self.special = len(self.head) + len(self.tail)
        self.most = min(length, max_text or length) - self.special
        if self.most < _SHORTEST:
            raise ValueError(
                f"rows of {length} tokens leave {self.most} for text; give at least "
                f"{_SHORTEST + self.special}."
            )
        self.segment = str.split if words == "spaces" else words
        if isinstance(words, str) and words != "spaces":
            self.segment = _find_function(words)
        self.continues = _continuations(tokenizer) if words is None else None

    def __call__(self, texts: Sequence[str]) -> TokenRows:
        """Return the packed rows of some texts, in no particular order."""
        ids, words = self.encode(texts)
        placements = place([word_starts(numbers) for numbers in words], self)
        count = max((p.row for p in placements), default=-1) + 1
        token_ids = np.full((count, self.length), self.tokenizer.pad_token_id or 0, "int32")
        document_ids = np.zeros_like(token_ids)
        word_ids = np.full_like(token_ids, -1)
        documents, first_word = [0] * count, [0] * count
        head, tail = len(self.head), len(self.tail)
        for row, at, text, start, end in placements:
            inner = at + head, at + head + end - start
            token_ids[row, at : inner[0]] = self.head
            token_ids[row, inner[0] : inner[1]] = ids[text][start:end]
            token_ids[row, inner[1] : inner[1] + tail] = self.tail
            documents[row] += 1
            document_ids[row, at : inner[1] + tail] = documents[row]
            numbers = words[text][start:end]
            word_ids[row, inner[0] : inner[1]] = numbers - numbers[0] + first_word[row]
            first_word[row] += int(numbers[-1] - numbers[0]) + 1
        return TokenRows(token_ids, document_ids, word_ids)

    def encode(self, texts: Sequence[str]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the ids of each text without special tokens, and the number of each one's word."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown tokens, which a corpus always has
            if self.segment is None:
                found, _ = self.tokenizer.encode_batch(texts, pattern="**")
                ids = [np.array(x, "int32") for x in found]
                assert self.continues is not None
                return ids, [_word_numbers(~self.continues[x]) for x in ids]
            encoded = self.tokenizer.encode_batch(texts, pattern="**", return_offsets=True)
        ids = [np.array(x, "int32") for x in encoded[0]]
        spans = [np.array(x, "int32").reshape(-1, 2) for x in encoded[2]]
        return ids, [self._words(*pair) for pair in zip(texts, spans, strict=True)]

    def _words(self, text: str, spans: np.ndarray) -> np.ndarray:
        """Number the words of the tokens with these character spans."""
        assert callable(self.segment)
        first = np.array([start for (start, _), _ in locate_words(self.segment, text)], "int32")
        word = np.searchsorted(first, spans[:, 0], side="right")
        return _word_numbers(np.diff(word, prepend=-1) != 0)


def place(texts: Sequence[np.ndarray], packer: RowPacker) -> list[_Placement]:
    """Assign pieces of texts to rows.

    Args:
        texts: for each text the increasing positions at which a word starts, then its number of
            tokens without special ones; cuts are at the start of a word where possible.
        packer: has the sizes.
    """
    special = packer.special
    least = max(_SHORTEST, packer.length // 100)  # room that is worth a cut
    waiting: dict[int, list[tuple[int, int]]] = {}  # length of a piece -> its text and start
    known: list[int] = []  # the keys of `waiting`, sorted

    def put(text: int, start: int, size: int) -> None:
        if size not in waiting:
            waiting[size] = []
            bisect.insort(known, size)
        waiting[size].append((text, start))

    def take(index: int) -> tuple[int, int, int]:
        size = known[index]
        text, start = waiting[size].pop()
        if not waiting[size]:
            del waiting[size], known[index]
        return text, start, size

    for text, starts in enumerate(texts):
        start, end = 0, int(starts[-1])
        while end - start > packer.most:
            size = _piece_length(starts, start, packer.most)
            put(text, start, size)
            start += size
        if end > start:
            put(text, start, end - start)
    placements, row, at = [], 0, 0
    while known:
        room = packer.length - at - special
        fits = bisect.bisect_right(known, room) - 1
        if fits >= 0:
            text, start, size = take(fits)
        elif room >= least:
            text, start, whole = take(-1)
            size = _piece_length(texts[text], start, room)
            put(text, start + size, whole - size)
        else:
            row, at = row + 1, 0
            continue
        placements.append(_Placement(row, at, text, start, start + size))
        at += size + special
    return placements


def word_starts(numbers: np.ndarray) -> np.ndarray:
    """Return the positions at which a word starts, by the numbers of the words, and the length."""
    return np.append(np.flatnonzero(np.diff(numbers, prepend=-1)), len(numbers))


def _piece_length(word_starts: np.ndarray, start: int, room: int) -> int:
    """Return the length of the piece from `start` on that fills the room.

    It ends before a word, unless that leaves more than a 64th of the room empty.
    """
    last = word_starts[np.searchsorted(word_starts, start + room, side="right") - 1] - start
    return int(last) if last >= room - max(1, room // 64) else room


def _word_numbers(starts: np.ndarray) -> np.ndarray:
    """Number words from 0 by bools that are True where one starts."""
    if len(starts):
        starts[0] = True
    return (np.cumsum(starts) - 1).astype("int32")


def _continuations(tokenizer: TokenizerBase) -> np.ndarray:
    """Return bools (V,), True for tokens that continue the word before them."""
    tokens = tokenizer.vocab
    continues = np.zeros(tokenizer.vocab_size, bool)
    if any(token.startswith("##") and len(token) > 2 for token in tokens):
        for token, i in tokens.items():
            continues[i] = token.startswith("##") and len(token) > 2
        return continues
    marks = [mark for mark in "▁Ġ" if any(token.startswith(mark) for token in tokens)]
    for token, i in tokens.items() if marks else ():
        first = token[:1]
        own_word = not first or first in marks or is_cjk(first) or is_punctuation(first)
        continues[i] = not own_word and token not in tokenizer.special_tokens
    return continues


def _find_function(name: str) -> _Segmenter:
    """Return the function of a name such as `"jieba:lcut"`, its module and its attribute.

    Raises:
        ValueError: another form, no such module or no such function.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute) if attribute else None
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"words={name!r} cannot be found: {error}.") from None
    if not callable(found):
        raise ValueError(f"words={name!r} must be 'spaces' or 'module:function'.")
    return found

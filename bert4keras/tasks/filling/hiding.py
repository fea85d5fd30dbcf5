"""Texts for training: which tokens may be hidden, and which of them make one word."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ...data.masking import IGNORED, mask_tokens
from ...tokenizers.base import TokenizerBase
from ...tokenizers.characters import is_cjk
from ...tokenizers.spans import locate_words

Segment = Callable[[str], Iterable[str]]
_WORD = re.compile(r"[^\W_]+")


@dataclasses.dataclass(frozen=True)
class MaskedRow:
    """Inputs of the model for one window of a text.

    Attributes:
        inputs: in the order of the model's inputs, token ids first.
        words: number of the word that each token belongs to; None: each token is one.
        labels: by token, the id that is to be found, or -1; None: tokens are hidden at random.
    """

    inputs: tuple[list[int], ...]
    words: np.ndarray | None = None
    labels: np.ndarray | None = None


class Hiding:
    """Hide tokens at random, as BERT was trained; see `data.mask_tokens`.

    Args:
        tokenizer: of the texts.
        rate: share of the words that are hidden.
        seed: of the choice.
    """

    def __init__(self, tokenizer: TokenizerBase, rate: float, seed: int):
        self.tokenizer, self.rate = tokenizer, rate
        self.rng = np.random.default_rng(seed)
        self.special = special_ids(tokenizer)

    def __call__(self, row: MaskedRow, mask_all: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return token ids with some hidden, and the labels.

        Args:
            row: inputs whose tokens are hidden; a row with labels is returned unchanged.
            mask_all: replace every chosen token by the mask; False keeps one of 10 unchanged and
                replaces one by a random token.
        """
        ids = np.asarray(row.inputs[0], "int32")
        if row.labels is not None:
            return ids, row.labels
        size, mask = self.tokenizer.vocab_size, self.tokenizer.token_mask_id
        hidden, labels = mask_tokens(
            ids,
            self.rng,
            size,
            mask,
            self.rate,
            special_ids=self.special,
            whole_words=row.words,
        )
        return (np.where(labels == IGNORED, ids, mask) if mask_all else hidden), labels


def special_ids(tokenizer: TokenizerBase) -> list[int]:
    """Return ids without a text: the special tokens, and ids without a token."""
    named = ("pad", "unk", "mask", "start", "end")
    tokens = {getattr(tokenizer, f"token_{name}") for name in named}
    known = set(tokenizer.vocab.values())
    absent = [i for i in range(tokenizer.vocab_size) if i not in known]
    unused = [i for t, i in tokenizer.vocab.items() if t in tokens or t.startswith("[unused")]
    return sorted({*absent, *unused})


def word_numbers(
    text: str, offsets: Sequence[tuple[int, int]], segment: Segment | None = None
) -> np.ndarray:
    """Number the words that the tokens of a text belong to.

    Args:
        text: the text.
        offsets: (start, end) of each token; an empty span is a separate word.
        segment: function text -> its words in order; None: runs of letters and digits, and
            Chinese characters one by one.

    Returns:
        (T,) int32; neighbours with equal numbers are one word.
    """
    if segment is not None:
        spans = [span for span, _ in locate_words(segment, text)]
    else:
        spans = [m.span() for m in _WORD.finditer(text)]
    word_at = np.full(len(text) + 1, -1)
    for number, (start, end) in enumerate(spans):
        word_at[start:end] = number
    if segment is None:
        word_at[[i for i, c in enumerate(text) if is_cjk(c)]] = -1
    numbers = [int(word_at[start]) if end > start else -1 for start, end in offsets]
    others = range(len(spans), len(spans) + len(numbers))
    return np.array([n if n >= 0 else own for n, own in zip(numbers, others, strict=True)], "int32")

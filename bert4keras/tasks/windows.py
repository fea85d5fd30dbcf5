"""Overlapping windows over texts that are longer than the model's maximum length."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..tokenizers.base import TokenizerBase

_Offsets = list[tuple[int, int]]


def sliding_windows(length: int, size: int, stride: int) -> list[tuple[int, int]]:
    """Cut a sequence into windows that overlap by at least `size - stride`.

    Any run of at most `size - stride + 1` items lies entirely in one window. The last window is
    moved back instead of shortened, so that all have the same size.

    Args:
        length: number of items of the sequence.
        size: number of items of a window.
        stride: distance between the starts of two windows, from 1 to `size`.

    Returns:
        (start, end) of each window, in order; one empty window for an empty sequence.

    >>> sliding_windows(10, 6, 3)
    [(0, 6), (3, 9), (4, 10)]
    """
    if not 1 <= stride <= size:
        raise ValueError(f"stride={stride} must lie between 1 and the size of a window, {size}.")
    if length <= size:
        return [(0, length)]
    starts = [*range(0, length - size, stride), length - size]
    return [(start, start + size) for start in starts]


def max_context_window(windows: Sequence[tuple[int, int]], length: int) -> np.ndarray:
    """Find for each item the window in which the smaller of its two contexts is largest.

    Among equal ones the longer window is taken, then the first.

    Args:
        windows: (start, end) of each.
        length: number of items of the sequence.

    Returns:
        int (length,), indices into `windows`.

    Source: `_check_is_max_context` in run_squad.py of BERT.
    """
    found, most = np.zeros(length, "int64"), np.full(length, -1.0)
    for number, (start, end) in enumerate(windows):
        places = np.arange(start, end)
        # As in run_squad.py, a hundredth of the window's size decides between equal contexts.
        context = np.minimum(places - start, end - 1 - places) + 0.01 * (end - start)
        better = context > most[start:end]
        found[start:end][better] = number
        most[start:end][better] = context[better]
    return found


@dataclasses.dataclass(frozen=True)
class TextWindow:
    """Window over the tokens of a text or a pair, with the tokenizer's special tokens.

    Attributes:
        token_ids, segment_ids: T ints each.
        offsets: (start, end) of each token in characters of the text that is cut into windows;
            (0, 0) for special tokens and tokens of the other text.
        begin, end: range of positions of that text's tokens, end excluded.
        first: index of the first of these tokens among all tokens of that text.
    """

    token_ids: list[int]
    segment_ids: list[int]
    offsets: _Offsets
    begin: int
    end: int
    first: int = 0


def text_windows(
    tokenizer: TokenizerBase,
    first: str,
    second: str | None = None,
    maxlen: int = 512,
    overlap: float = 0.25,
    special: bool = False,
) -> list[TextWindow]:
    """Encode a whole text or pair in as many windows as it needs.

    Args:
        tokenizer: the tokenizer.
        first, second: a text, or a pair. The longer text of a pair is cut into windows; each window
            contains the whole other text.
        maxlen: largest number of tokens of a window, special tokens included.
        overlap: share of a window that the next one repeats.
        special: True if "[MASK]" and the like, written in a text, become special tokens.

    Returns:
        The windows in the order of the text; one if everything fits into `maxlen`.

    Raises:
        ValueError: the shorter text of a pair leaves no room for the longer one.
    """
    frame, segments = tokenizer.encode("", None if second is None else "")
    head = int(tokenizer.pattern.startswith("S") and tokenizer.token_start is not None)
    tail = int(tokenizer.pattern.endswith("E") and tokenizer.token_end is not None)
    texts = [first] if second is None else [first, second]
    ids, offsets = zip(
        *(_inner(tokenizer, text, head, tail, special) for text in texts), strict=True
    )
    long = max(range(len(texts)), key=lambda k: len(ids[k]))
    room = maxlen - len(frame) - sum(len(part) for part in ids) + len(ids[long])
    if room < 1 < len(texts):
        raise ValueError(
            f"maxlen={maxlen} leaves no room for the longer text of a pair beside the "
            f"{len(ids[1 - long])} tokens of the other one and {len(frame)} special tokens."
        )
    stride = max(1, int(room * (1 - overlap)))
    windows = []
    for start, end in sliding_windows(len(ids[long]), room, stride):
        parts = [part[start:end] if k == long else part for k, part in enumerate(ids)]
        spans = offsets[long][start:end]
        window = _frame(parts, spans, long, frame, segments, head, tail, tokenizer.segments)
        windows.append(dataclasses.replace(window, first=start))
    return windows


def bare_tokens(tokenizer: TokenizerBase, text: str) -> tuple[list[int], _Offsets]:
    """Return ids and offsets of a text without special tokens around it."""
    frame = tokenizer.encode("")[0]
    head = int(tokenizer.pattern.startswith("S") and tokenizer.token_start is not None)
    return _inner(tokenizer, text, head, len(frame) - head, special=False)


def _inner(
    tokenizer: TokenizerBase, text: str, head: int, tail: int, special: bool
) -> tuple[list[int], _Offsets]:
    """Return ids and offsets of a text without special tokens around it."""
    ids, _, offsets = tokenizer.encode_batch([text], return_offsets=True, special=special)
    own = slice(head, len(ids[0]) - tail)
    return ids[0][own], offsets[0][own]


def _frame(
    parts: list[list[int]],
    spans: _Offsets,
    long: int,
    frame: list[int],
    frame_segments: list[int],
    head: int,
    tail: int,
    numbers: tuple[int, ...],
) -> TextWindow:
    """Put the special tokens of `frame` around and between the parts."""
    close = len(frame) - tail
    middle = slice(head, close if len(parts) > 1 else head)
    pieces = [frame[:head], parts[0], frame[middle]]
    labels = [frame_segments[:head], [numbers[0]] * len(parts[0]), frame_segments[middle]]
    if len(parts) > 1:
        pieces.append(parts[1])
        labels.append([numbers[1]] * len(parts[1]))
    begin = sum(map(len, pieces[: 3 if long else 1]))
    pieces.append(frame[close:])
    labels.append(frame_segments[close:])
    ids = [i for piece in pieces for i in piece]
    end = begin + len(spans)
    offsets = [(0, 0)] * begin + list(spans) + [(0, 0)] * (len(ids) - end)
    return TextWindow(ids, [s for label in labels for s in label], offsets, begin, end)

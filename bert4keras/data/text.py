"""Helpers for text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from .._folding import half_width


def is_string(value: Any) -> bool:
    """Return whether the value is a str."""
    return isinstance(value, str)


def lowercase_and_normalize(text: str) -> str:
    """Lower-case a text, decompose it (NFD) and remove accents."""
    text = unicodedata.normalize("NFD", text.lower())
    return "".join(char for char in text if unicodedata.category(char) != "Mn")


def strQ2B(text: str) -> str:
    """Convert full-width characters (ＡＢＣ，) to their half-width forms (ABC,)."""
    return half_width(text)


def text_segmentate(
    text: str, maxlen: int, seps: str | Sequence[str] = "\n", strips: str | None = None
) -> list[str]:
    """Split a text at separators into segments of at most `maxlen` characters, if possible.

    Pieces between the first separator are joined as long as they fit. A piece that is too long is
    split at the next separator. A piece without a separator is not split, even if it is too long.

    Args:
        text: the text.
        maxlen: largest number of characters of a segment.
        seps: separators, the most important first; each stays at the end of its piece.
        strips: characters removed at both ends of every segment, in addition to blanks.

    Returns:
        The segments, without empty ones unless the text is empty.
    """
    text = text.strip().strip(strips)
    if not seps or len(text) <= maxlen:
        return [text]
    pieces = text.split(seps[0])
    segments: list[str] = []
    segment = ""
    for i, piece in enumerate(pieces):
        # One character is reserved for the separator.
        if segment and piece and len(segment) + len(piece) > maxlen - 1:
            segments.extend(text_segmentate(segment, maxlen, seps[1:], strips))
            segment = ""
        segment += piece if i == len(pieces) - 1 else piece + seps[0]
    if segment:
        segments.extend(text_segmentate(segment, maxlen, seps[1:], strips))
    return segments


def longest_common_substring(
    source: Sequence, target: Sequence
) -> tuple[int, tuple[int, int, int, int]]:
    """Find the longest common run of two sequences; the first one if there are several.

    Returns:
        (length, (source start, source end, target start, target end)).
    """
    best, span = 0, (0, 0, 0, 0)
    previous = [0] * (len(target) + 1)
    for i, a in enumerate(source, 1):
        current = [0] * (len(target) + 1)
        for j, b in enumerate(target, 1):
            if a == b:
                current[j] = size = previous[j - 1] + 1
                if size > best:
                    best, span = size, (i - size, i, j - size, j)
        previous = current
    return best, span


def longest_common_subsequence(
    source: Sequence, target: Sequence
) -> tuple[int, list[tuple[int, int]]]:
    """Find the longest common subsequence: items in order, not necessarily adjacent.

    Returns:
        (length, pairs of (source index, target index), increasing).
    """
    table = [[0] * (len(target) + 1)]
    for a in source:
        above, row = table[-1], [0]
        for j, b in enumerate(target):
            row.append(above[j] + 1 if a == b else max(row[j], above[j + 1]))
        table.append(row)
    pairs = []
    i, j = len(source), len(target)
    while i and j:
        if source[i - 1] == target[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return len(pairs), pairs[::-1]

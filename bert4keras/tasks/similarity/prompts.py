"""Windows of texts with a prompt before them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection
from typing import NamedTuple

from ...tokenizers.base import TokenizerBase
from ..base import TaskError
from ..windows import TextWindow, sliding_windows, text_windows

_OVERLAP = 0.25  # share of a window that the next one repeats
_QUERY, _TEXTS = ("query",), ("document", "passage", "corpus")  # names of prompts for a search
_LEAST = 8  # tokens of a text that a window has besides the prompt


class Prompted(NamedTuple):
    """A text and its prompt, the text put before it."""

    text: str
    prompt: str


def search_prompts(names: Collection[str]) -> tuple[str | None, str | None]:
    """Return the names of the prompts of a query and of the texts that it searches, or None."""
    query, text = (next((n for n in known if n in names), None) for known in (_QUERY, _TEXTS))
    return query, text


def prompted_windows(
    tokenizer: TokenizerBase, text: str, prompt: str, maxlen: int, truncate: bool
) -> list[TextWindow]:
    """Encode a text in as many windows as it needs, each with the prompt before it.

    Args:
        tokenizer: the tokenizer.
        text, prompt: encoded as one string, `prompt + text`.
        maxlen: tokens of a window, special tokens included.
        truncate: only the first window.

    Returns:
        Windows without offsets; tokens of the text are at positions [begin, end).

    Raises:
        TaskError: the prompt leaves no room for the text.
    """
    whole = text_windows(tokenizer, prompt + text, maxlen=sys.maxsize)[0]
    start, end = whole.begin, whole.end
    spare = maxlen - len(whole.token_ids)
    if spare >= 0:
        return [_part(whole, start, start, end)]
    if truncate:
        return [_part(whole, start, start, end + spare)]
    last = len(prompt.rstrip())
    start += sum(first < last for first, _ in whole.offsets[start:end])
    room = end + spare - start
    if room < _LEAST:
        raise TaskError(f"the prompt {prompt!r:.60} leaves no room for a text in {maxlen} tokens.")
    stride = max(1, int(room * (1 - _OVERLAP)))
    return [
        _part(whole, start, start + a, start + b)
        for a, b in sliding_windows(end - start, room, stride)
    ]


def _part(whole: TextWindow, kept: int, begin: int, end: int) -> TextWindow:
    """Return the tokens before `kept`, those of [begin, end), and the special tokens at the end."""
    ids, segments = (
        values[:kept] + values[begin:end] + values[whole.end :]
        for values in (whole.token_ids, whole.segment_ids)
    )
    return dataclasses.replace(
        whole,
        token_ids=ids,
        segment_ids=segments,
        offsets=[],
        begin=kept,
        end=kept + end - begin,
    )

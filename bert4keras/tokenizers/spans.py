"""Texts and stretches of them: checks, words, spans."""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

Span = tuple[int, int]
_SURROGATE = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """The text with U+FFFD, one character too, for lone surrogates: UTF-8 has no such thing."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def check_texts(texts: Sequence[str], name: str = "text") -> list[str]:
    """Raise TypeError unless all are str; return them as a list."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"Expected a list of {name}s, got one {type(texts).__name__}.")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"A {name} must be str, got {type(text).__name__} ({name} {i}).")
    return texts


def find_words(segment: Callable[[str], Iterable[str]], text: str) -> list[tuple[Span, str]]:
    """Where the words of a segmenter stand in the text.

    Args:
        segment: function text -> consecutive words of it; blanks may be left out. A list of
            words that together have the length of the text may also have other characters in
            the place of blanks, as CPM's "▂" for a blank.
        text: the text.

    Returns:
        ((start, end), word) for each word, in characters.
    """
    places: list[tuple[Span, str]] = []
    position = 0
    for word in segment(text):
        start = text.find(word, position)
        if start < 0 or text[position:start].strip():
            start = position if _stands_at(word, text, position) else -1
        if start < 0:
            raise ValueError(
                f"pre_tokenize returned {word!r}, which does not follow at character "
                f"{position} of its text; it must return consecutive words of the text."
            )
        position = start + len(word)
        places.append(((start, position), word))
    if text[position:].strip():
        raise ValueError(f"pre_tokenize left out the end of its text from {position} on.")
    return places


def _stands_at(word: str, text: str, position: int) -> bool:
    """Whether the word is what the text has here, but for what stands for a blank."""
    here = text[position : position + len(word)]
    return len(here) == len(word) > 0 and all(
        a == b or b.isspace() for a, b in zip(word, here, strict=True)
    )


def tidy_spans(
    text: str, ids: Iterable[int], spans: Iterable[Span], blank_id: int | None
) -> list[Span]:
    """Spans without the blanks around a word.

    Args:
        text: the text.
        ids, spans: of its tokens.
        blank_id: the token "▁", which stands for a blank, or for none at the start of a text.
    """
    tidy = []
    for i, (start, end) in zip(ids, spans, strict=True):
        surface = text[start:end]
        inner = surface.strip()
        if i == blank_id and inner:
            end = start
        elif inner and len(inner) < len(surface):
            start += len(surface) - len(surface.lstrip())
            end = start + len(inner)
        tidy.append((start, end))
    return tidy


@contextlib.contextmanager
def paused_gc() -> Iterator[None]:
    """Search for no cycles while millions of small lists are made: it takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

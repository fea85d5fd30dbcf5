"""Character spans of texts: words of a segmenter, spans without blanks, checks of texts."""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

Span = tuple[int, int]  # characters [start, end) of a text
_SURROGATE = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by U+FFFD; the length stays equal."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def check_texts(texts: Sequence[str], name: str = "text") -> list[str]:
    """Return texts as a list; TypeError if one is not a str."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"Expected a list of {name}s, got one {type(texts).__name__}.")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"A {name} must be str, got {type(text).__name__} ({name} {i}).")
    return texts


def locate_words(segment: Callable[[str], Iterable[str]], text: str) -> list[tuple[Span, str]]:
    """Find the words of a segmenter in their text.

    Args:
        segment: function text -> its consecutive words; blanks may be left out, or replaced by
            one other character each (CPM's segmenter writes "▂" for a blank).
        text: the text.

    Returns:
        ((start, end), word) for each word, in characters.

    Raises:
        ValueError: the words are not those of the text, or do not reach its end.
    """
    places: list[tuple[Span, str]] = []
    position = 0
    for word in segment(text):
        start = text.find(word, position)
        if start < 0 or text[position:start].strip():
            start = position if _matches_at(word, text, position) else -1
        if start < 0:
            raise ValueError(
                f"pre_tokenize returned {word!r}, which is not the next word at character "
                f"{position} of its text. It must return consecutive words of the text."
            )
        position = start + len(word)
        places.append(((start, position), word))
    if text[position:].strip():
        raise ValueError(
            f"pre_tokenize left out the end of its text, from character {position} on."
        )
    return places


def _matches_at(word: str, text: str, position: int) -> bool:
    """Return whether the text has the word here; a blank of the text matches any character."""
    here = text[position : position + len(word)]
    return len(here) == len(word) > 0 and all(
        a == b or b.isspace() for a, b in zip(word, here, strict=True)
    )


def tidy_spans(
    text: str, ids: Iterable[int], spans: Iterable[Span], blank_id: int | None
) -> list[Span]:
    """Remove the blanks around words from the spans of tokens.

    Args:
        text: the text.
        ids, spans: ids and spans of its tokens.
        blank_id: id of the token "▁", which is one blank, or an empty span at the start of a text.
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
    """Pause the garbage collector: with millions of small lists it takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

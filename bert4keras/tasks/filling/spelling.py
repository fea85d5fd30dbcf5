"""Find masks in a text, and write tokens in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ...tokenizers import Tokenizer
from ...tokenizers.base import TokenizerBase
from ...tokenizers.spans import Span

MASK = "[MASK]"  # spelling that texts may use with every tokenizer
_BLANKS = ("▁", "Ġ")  # marks of SentencePiece and of byte-level BPE for a blank before a token


def find_masks(text: str, token: str) -> tuple[str, list[Span]]:
    """Find the masks of a text.

    Args:
        text: text with `[MASK]`, or the tokenizer's spelling of it.
        token: the tokenizer's spelling of the mask.

    Returns:
        The text with every mask spelled `token`, and the masks' places in the given text.

    >>> find_masks("a [MASK] and a <mask>", "<mask>")
    ('a <mask> and a <mask>', [(2, 8), (15, 21)])
    """
    pattern = "|".join(map(re.escape, {MASK, token}))
    spans = [match.span() for match in re.finditer(pattern, text)]
    return re.sub(pattern, lambda _: token, text), spans


def token_text(tokenizer: TokenizerBase, token_id: int) -> str:
    """Return a token as text, or as the vocabulary spells it if it is no whole character."""
    text = tokenizer.decode([token_id]).strip()
    return text if text and "\ufffd" not in text else tokenizer.id_to_token(token_id)


def fill_text(
    tokenizer: TokenizerBase, text: str, spans: Sequence[Span], filled: Mapping[int, int]
) -> str:
    """Write tokens in the place of masks.

    Neighbouring masks are decoded together: several tokens may make one word or, of bytes, one
    character. The first token decides about a blank before a mask: a piece of a word is joined to
    the word before it, and a token that includes a blank has one before it.

    Args:
        tokenizer: tokenizer of the tokens.
        text: the text.
        spans: places of all its masks, in order.
        filled: token id by the number of the mask; other masks stay.
    """
    parts, position = [], 0
    for start, end, ids in _runs(text, spans, filled):
        before, word = text[position:start], tokenizer.decode(ids).strip()
        blank, word = _joint(tokenizer, ids[0], word)
        if blank is not None:
            before = before.rstrip(" ") + (blank if before.strip() or parts else "")
        parts += [before, word]
        position = end
    return "".join([*parts, text[position:]])


def _runs(
    text: str, spans: Sequence[Span], filled: Mapping[int, int]
) -> Iterator[tuple[int, int, list[int]]]:
    """Yield (start, end, token ids) of the filled masks, with neighbours joined."""
    run: tuple[int, int, list[int]] | None = None
    for k, (start, end) in enumerate(spans):
        if k not in filled:
            continue
        if run is not None and not text[run[1] : start].strip():
            run = (run[0], end, [*run[2], filled[k]])
            continue
        if run is not None:
            yield run
        run = (start, end, [filled[k]])
    if run is not None:
        yield run


def _joint(tokenizer: TokenizerBase, token_id: int, word: str) -> tuple[str | None, str]:
    """Return the separator before a token, and the word without marks.

    The separator is a blank, "", or None, which keeps the one in the text.
    """
    token = tokenizer.id_to_token(token_id)
    if isinstance(tokenizer, Tokenizer):
        continues = len(token) > 2 and token.startswith("##")
        return ("", word[2:]) if continues else (None, word)
    return (" " if token.startswith(_BLANKS) else ""), word

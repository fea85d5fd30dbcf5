"""Generated texts, whole or streamed in pieces."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...tokenizers import Tokenizer
from ...tokenizers.base import TokenizerBase

_UNFINISHED = "\ufffd"  # replaces bytes that are no whole character yet


@dataclasses.dataclass(frozen=True)
class Generation:
    """A text that a `Generator` has written.

    Attributes:
        text: the text. If it continues the prompt, a blank between the two is its first character.
        score: geometric mean of the probabilities of the tokens.
        log_probability: natural logarithm of the probability of all tokens together, among the
            tokens that the processors allow.
        tokens: number of tokens, the end token included.
        finish_reason: "stop" if the model ended the text, "length" if `max_new_tokens` was reached.
    """

    text: str
    score: float
    log_probability: float
    tokens: int
    finish_reason: str

    def __str__(self) -> str:
        return self.text


class TextStream:
    """Detokenizer for a text whose tokens arrive one by one.

    A piece of text is returned once no later token can change it. So it ends neither inside a
    character of several bytes nor in a word that a piece "##x" may continue, or before which the
    detokenizer may still remove a blank.

    Args:
        tokenizer: tokenizer of the tokens.
        prompt_ids: tokens that the text continues; empty if the text does not continue a prompt.
    """

    def __init__(self, tokenizer: TokenizerBase, prompt_ids: Sequence[int] = ()):
        self.tokenizer, self.prompt = tokenizer, list(prompt_ids)
        self.prompt_text = tokenizer.decode(self.prompt) if self.prompt else ""
        self.ids: list[int] = []
        self.shown = ""
        self.joined: bool | None = None

    def add(self, token_id: int) -> str:
        """Take the next token, and return the text that is final now."""
        self.ids.append(int(token_id))
        if self.joined is None:
            starts = self._word_starts(self.ids)
            if len(starts) < 2:
                return ""
            self.joined = self._continues(starts[1])
        return self._show(self._certain(self._all()))

    def close(self) -> str:
        """Return the rest of the text."""
        if self.joined is None:
            starts = self._word_starts(self.ids)
            self.joined = self._continues(starts[1] if len(starts) > 1 else len(self.ids))
        return self._show(self.tokenizer.decode(self._all()))

    def _all(self) -> list[int]:
        return self.prompt + self.ids if self.joined else self.ids

    def _continues(self, end: int) -> bool:
        """Tell whether the text of prompt and tokens begins with that of the prompt."""
        text = self.tokenizer.decode(self.prompt + self.ids[:end])
        return text.startswith(self.prompt_text)

    def _show(self, text: str) -> str:
        """Return the part of a text that was not returned before."""
        text = text[len(self.prompt_text) :] if self.joined else text
        new = text[len(self.shown) :] if text.startswith(self.shown) else ""
        self.shown += new
        return new

    def _certain(self, ids: list[int]) -> str:
        """Return the beginning of the text of these tokens that no further token changes."""
        if not isinstance(self.tokenizer, Tokenizer):
            return self.tokenizer.decode(ids).rstrip(_UNFINISHED).rstrip()
        starts = self._word_starts(ids)
        if len(starts) < 3:
            return ""
        # The last word may grow. That decides whether a blank precedes the word before it, so that
        # word is left out too.
        text = self.tokenizer.decode(ids[: starts[-1]])
        last = self.tokenizer.decode(ids[starts[-2] : starts[-1]])
        return text.removesuffix(last).rstrip()

    def _word_starts(self, ids: Sequence[int]) -> list[int]:
        """Return places of the tokens that begin a word (WordPiece), or of all tokens."""
        if not isinstance(self.tokenizer, Tokenizer):
            return list(range(len(ids)))
        tokens = self.tokenizer.ids_to_tokens(ids)
        prefix = self.tokenizer._inner_prefix
        return [
            i
            for i, token in enumerate(tokens)
            if not (token.startswith(prefix) and len(token) > len(prefix))
            and self.tokenizer.decode([ids[i]])
        ]


def decode_continuation(
    tokenizer: TokenizerBase, ids: Sequence[int], prompt_ids: Sequence[int] = ()
) -> str:
    """Return the text of tokens that continue a prompt; the same as a `TextStream` gives in pieces.

    >>> decode_continuation(tokenizer, tokenizer.encode("b")[0], tokenizer.encode("a")[0])
    ' b'
    """
    stream = TextStream(tokenizer, prompt_ids)
    stream.ids = [int(i) for i in ids]
    return stream.close()

"""Texts to ids and offsets, before special tokens: `pre_tokenize`, subwords, `token_translate`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping

from .added import AddedToken
from .errors import TokenizerError, UnknownTokensWarning
from .spans import Span, check_texts, locate_words
from .warn_once import WarnOnce

# Ids of one text, and the character offsets of each; empty offsets if not requested.
Encoding = tuple[list[int], list[Span]]


class TokenizerCore:
    """Base of all tokenizers: the steps around a subclass's `_tokenize_texts`.

    Args:
        vocab: dict token -> id.
        token_unk: the unknown token, or None.
        pre_tokenize, token_translate: as in `TokenizerBase`.
    """

    _inner_prefix = ""  # of tokens inside a word

    def __init__(
        self,
        vocab: Mapping[str, int],
        token_unk: str | None,
        pre_tokenize: Callable[[str], Iterable[str]] | None = None,
        token_translate: Mapping[str, str] | None = None,
    ):
        self.vocab = dict(vocab)
        self.token_unk = token_unk
        self._tokens = {i: token for token, i in self.vocab.items()}
        if len(self._tokens) != len(self.vocab):
            shared = next(t for t, i in self.vocab.items() if self._tokens[i] != t)
            i = self.vocab[shared]
            raise TokenizerError(
                f"Two tokens of the vocabulary have the same id: {shared!r} and "
                f"{self._tokens[i]!r} have {i}."
            )
        self._unk_id = None if token_unk is None else self.vocab.get(token_unk)
        self._pre_tokenize = pre_tokenize
        self._translate = dict(token_translate or {})
        self._translate_back = {new: old for old, new in self._translate.items()}
        absent = [token for token in self._translate.values() if token not in self.vocab]
        if absent:
            message = f"token_translate has tokens that are not in the vocabulary: {absent}"
            if self._unk_id is None:
                raise TokenizerError(f"{message}.")
            text = f"{message}; each becomes the unknown token."
            warnings.warn(text, UnknownTokensWarning, stacklevel=4)
        self._added: list[AddedToken] = []  # found in texts without special=True
        self._added_ids: set[int | None] = set()
        self._special: set[str] = set()  # plain text, unless a call says special=True
        self._warn_once = WarnOnce()
        self._last: tuple[tuple[str, bool] | None, Encoding] = (None, ([], []))

    def _tokenize_texts(
        self, texts: list[str], offsets: bool, special: bool = False
    ) -> list[Encoding]:
        """Tokenize texts without adding special tokens; to be overridden.

        Args:
            texts: the texts.
            offsets: False: the offsets may be empty lists, which is faster.
            special: True: special tokens written in the texts are found.
        """
        raise NotImplementedError

    def _find_added(self, added: Iterable[AddedToken]) -> None:
        """Set the added tokens that are found in texts: those that are not special."""
        self._added = [token for token in added if token.content not in self._special]
        self._added_ids = {token.id for token in self._added}

    def _word_id(self, word: str) -> int | None:
        """Return the id of a word of `pre_tokenize` that is one token, else None."""
        return None

    def _surface(self, text: str) -> str:
        """Return the token that `tokenize` shows for an unknown piece of a text."""
        return text

    def _tokenize_one(self, text: str, special: bool = False) -> Encoding:
        """Tokenize one text; the last result is cached, because `rematch` follows `tokenize`."""
        if self._last[0] != (text, special) or not isinstance(text, str):
            encodings = self._tokenize(check_texts([text]), offsets=True, special=special)[0]
            self._last = (text, special), encodings
        return self._last[1]

    def _tokenize(self, texts: list[str], offsets: bool, special: bool = False) -> list[Encoding]:
        """Apply `pre_tokenize`, `_tokenize_texts` and `token_translate`."""
        spans_too = offsets or bool(self._translate)
        if self._pre_tokenize is not None:
            encodings = self._tokenize_words(self._pre_tokenize, texts, special)
        else:
            encodings = self._tokenize_texts(texts, spans_too, special)
        if self._unk_id is not None:
            self._warn_of_unknown(texts, encodings, special, spans_too, self._unk_id)
        if self._translate:
            for text, (ids, spans) in zip(texts, encodings, strict=True):
                for k, i in enumerate(ids):
                    token = self._token(i, text, spans[k])
                    if token in self._translate:
                        ids[k] = self.vocab.get(self._translate[token], self._unk_id)
        return encodings

    def _warn_of_unknown(
        self,
        texts: list[str],
        encodings: list[Encoding],
        special: bool,
        spans_too: bool,
        unk_id: int,
    ) -> None:
        for text, (ids, spans) in zip(texts, encodings, strict=True):
            if self._warn_once.may_be_unknown(ids, unk_id):
                if not spans_too and not spans:
                    ids, spans = self._tokenize_texts([text], True, special)[0]
                self._warn_once.unknown(text, ids, spans, unk_id)

    def _tokenize_words(
        self, segment: Callable[[str], Iterable[str]], texts: list[str], special: bool
    ) -> list[Encoding]:
        """Tokenize the words of `pre_tokenize`, each separately.

        All words of all texts that are no tokens go through one call of `_tokenize_texts`; its
        results are put back in order, their offsets shifted by the start of the word.
        """
        words: list[tuple[int, Span, str | int]] = []  # index of the text, span, word or id
        for n, text in enumerate(texts):
            for start, end, added in self._split_at_added(text, special):
                if added is not None:
                    words.append((n, (start, end), added))
                    continue
                for (a, b), word in locate_words(segment, text[start:end]):
                    i = self._word_id(word)
                    words.append((n, (start + a, start + b), word if i is None else i))
        rest = [item for *_, item in words if isinstance(item, str)]
        pieces = iter(self._tokenize_texts(rest, True, special))
        encodings: list[Encoding] = [([], []) for _ in texts]
        for n, (start, end), item in words:
            ids, spans = next(pieces) if isinstance(item, str) else ([item], [(0, end - start)])
            encodings[n][0].extend(ids)
            encodings[n][1].extend((start + a, start + b) for a, b in spans)
        return encodings

    def _split_at_added(self, text: str, special: bool) -> list[tuple[int, int, int | None]]:
        """Split a text at its added tokens: (start, end, id of the added token or None)."""
        found = set(self._added_ids)
        if special:
            found |= {self.vocab.get(token) for token in self._special if token != self.token_unk}
        if not found:
            return [(0, len(text), None)]
        parts: list[tuple[int, int, int | None]] = []
        position = 0
        for i, (start, end) in zip(*self._tokenize_texts([text], True, special)[0], strict=True):
            if i in found:
                if start > position:
                    parts.append((position, start, None))
                parts.append((start, end, i))
                position = end
        return [*parts, (position, len(text), None)] if position < len(text) else parts

    def _token(self, i: int, text: str, span: Span) -> str:
        if i != self._unk_id or self.token_unk is None:
            return self._tokens[i]
        surface = self._surface(text[span[0] : span[1]])
        # Tokenized in the same way as the text was, an unknown piece must stay an unknown one.
        return self.token_unk if not surface or surface in self.vocab else surface

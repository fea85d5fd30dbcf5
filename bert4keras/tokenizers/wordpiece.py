"""BERT's WordPiece tokenizer, on the Rust `tokenizers` library, with character offsets."""

from __future__ import annotations

import contextlib
import gc
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import tokenizers as rust
from bert4keras.data.text import lowercase_and_normalize
from bert4keras.tokenizers.base import TokenizerBase, check_pattern, check_texts
from bert4keras.tokenizers.detokenize import detokenize
from bert4keras.tokenizers.pretrained import read_directory
from bert4keras.tokenizers.vocabulary import load_vocab

_SURROGATE = re.compile("[\ud800-\udfff]")
Span = tuple[int, int]


class Tokenizer(TokenizerBase):
    """WordPiece tokenizer of BERT and its relatives.

    Text is cleaned of control characters, Chinese characters and punctuation become words of
    their own, accents are stripped when lower-casing, and each word is cut greedily into the
    longest pieces that the vocabulary has. "[SEP]" or "[MASK]" written in a text is ordinary
    text; special tokens are given as tokens (`encode` takes a list) or ids.

    Args:
        token_dict: vocabulary file, dict token -> id, or list of tokens in the order of ids.
        do_lower_case: lower-case and strip accents, as uncased models need.
        word_maxlen: a longer word is one unknown token. 100 as in Hugging Face's tokenizers,
            so that the same text gives the same ids; Google's script and older code have 200.
        pre_tokenize: function text -> list of consecutive words of it (spaces may be left
            out), e.g. a Chinese word segmenter. A word in the vocabulary is one token, any
            other goes through WordPiece.
        token_translate: dict token -> token, applied to what was cut; undone by `decode`.
        strip_accents: by default the same as do_lower_case.
        split_cjk: whether every Chinese character is a word of its own.
        token_start, token_end, token_pad, token_unk, token_mask: names of the special tokens;
            None for the first two to put none.

    References: Devlin et al., BERT (arXiv:1810.04805); google-research/bert, tokenization.py.
    """

    def __init__(
        self,
        token_dict: str | os.PathLike | Mapping[str, int] | Sequence[str],
        do_lower_case: bool = False,
        word_maxlen: int = 100,
        pre_tokenize: Callable[[str], Iterable[str]] | None = None,
        token_translate: Mapping[str, str] | None = None,
        strip_accents: bool | None = None,
        split_cjk: bool = True,
        **special_tokens: str | None,
    ):
        super().__init__(_as_vocab(token_dict), **special_tokens)
        self.do_lower_case = do_lower_case
        self._pre_tokenize = pre_tokenize
        self._translate = dict(token_translate or {})
        self._translate_back = {new: old for old, new in self._translate.items()}
        absent = [token for token in self._translate.values() if token not in self.vocab]
        if absent:
            raise ValueError(f"token_translate leads to tokens not in the vocabulary: {absent}.")
        normalizer = rust.normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=split_cjk,
            strip_accents=strip_accents,
            lowercase=do_lower_case,
        )
        self._rust = self._build(word_maxlen, normalizer)
        self._rust_plain = self._build(word_maxlen, None)  # for texts that need no cleaning
        self._last: tuple[str | None, tuple] = (None, ([], []))

    def _build(self, word_maxlen: int, normalizer) -> rust.Tokenizer:
        model = rust.models.WordPiece(
            self.vocab, unk_token=self.token_unk, max_input_chars_per_word=word_maxlen
        )
        built = rust.Tokenizer(model)
        if normalizer is not None:
            built.normalizer = normalizer
        built.pre_tokenizer = rust.pre_tokenizers.BertPreTokenizer()
        return built

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike, **options) -> Tokenizer:
        """Make the tokenizer of a checkpoint directory.

        Args:
            directory: holds vocab.txt (Google and Hugging Face layout) or a tokenizer.json.
                Case handling is read from tokenizer_config.json or tokenizer.json; where neither
                says it, a vocabulary without any capital letter is an uncased one.
            options: override what was read; see the class.
        """
        return cls(**{**read_directory(Path(directory)), **options})

    def encode(
        self,
        first: str | Sequence[str],
        second: str | Sequence[str] | None = None,
        maxlen: int | None = None,
        pattern: str = "S*E*E",
        truncate_from: str | int = "right",
    ) -> tuple[list[int], list[int]]:
        """Ids of a text or of a pair of texts.

        Args:
            first, second: text, or a list of tokens used as it is (with its special tokens).
            maxlen: total number of ids allowed; items are taken away from the longer text.
            pattern: "S*E*E" is [CLS] a [SEP] b [SEP]; "S*ES*E" repeats [CLS] before b.
            truncate_from: "right", "left", or the index at which items are taken away.

        Returns:
            (token_ids, segment_ids), lists of int of equal length.
        """
        check_pattern(pattern)
        parts = [self._part_ids(part) for part in (first, second) if part is not None]
        if first is None:
            raise TypeError("A text must be str or a list of tokens, got NoneType.")
        return self._merge(
            parts[0], parts[1] if len(parts) == 2 else None, maxlen, pattern, truncate_from
        )

    def encode_batch(
        self,
        firsts: Sequence[str],
        seconds: Sequence[str] | None = None,
        maxlen: int | None = None,
        pattern: str = "S*E*E",
        truncate_from: str | int = "right",
        return_offsets: bool = False,
    ) -> tuple[list, ...]:
        """`encode` for many texts at once, on all cores.

        Args:
            firsts, seconds: lists of texts, of equal length.
            maxlen, pattern, truncate_from: as in `encode`.
            return_offsets: also return where each token stands in its own text.

        Returns:
            (token_ids, segment_ids): lists with one list of int per text or pair. With
            `return_offsets` a third list of (start, end) pairs, in characters of the text that
            the segment id tells; (0, 0) for special tokens.
        """
        check_pattern(pattern)
        firsts = check_texts(firsts)
        seconds = None if seconds is None else check_texts(seconds)
        if seconds is not None and len(seconds) != len(firsts):
            raise ValueError(f"{len(firsts)} first texts, but {len(seconds)} second texts.")
        with _paused_gc():
            return self._encode_batch(
                firsts, seconds, return_offsets, maxlen, pattern, truncate_from
            )

    def _encode_batch(
        self, firsts: list[str], seconds: list[str] | None, return_offsets: bool, *how
    ) -> tuple[list, ...]:
        columns = [self._framed_batch(firsts, return_offsets)]
        if seconds is not None:
            columns.append(self._framed_batch(seconds, return_offsets))
        merged = []
        for k in range(1 + return_offsets):  # ids, then offsets: cut in the same way
            second = [None] * len(firsts) if seconds is None else columns[1][k]
            merged.append(
                [self._merge(a, b, *how) for a, b in zip(columns[0][k], second, strict=True)]
            )
        result = [ids for ids, _ in merged[0]], [segments for _, segments in merged[0]]
        return (*result, [spans for spans, _ in merged[1]]) if return_offsets else result

    def tokenize(self, text: str, maxlen: int | None = None) -> list[str]:
        """Tokens of a text, [CLS] and [SEP] included.

        A word that the vocabulary cannot make comes back as it is written (lower-cased by an
        uncased tokenizer); its id is that of [UNK].
        """
        ids, spans = self._cut_one(text)
        tokens = [self._token(i, text, span) for i, span in zip(ids, spans, strict=True)]
        tokens = self._framed(tokens, self.token_start, self.token_end)
        return self._merge(tokens, None, maxlen, "S*E*E", "right")[0]

    def offsets(self, text: str, maxlen: int | None = None) -> list[Span]:
        """Where each token of `tokenize(text, maxlen)` stands in the text.

        Returns:
            (start, end) pairs in characters; (0, 0) for [CLS] and [SEP].
        """
        spans = self._cut_one(text)[1]
        return self._merge(self._framed(spans, (0, 0), (0, 0)), None, maxlen, "S*E*E", "right")[0]

    def rematch(self, text: str, tokens: Sequence[str]) -> list[list[int]]:
        """The characters of the text that each token stands for.

        Args:
            text: the original text.
            tokens: `tokenize(text)`, whole or truncated on the right, special tokens optional.

        Returns:
            A list of character indices per token; empty for special tokens.
        """
        head = bool(tokens) and self.token_start is not None and tokens[0] == self.token_start
        tail = len(tokens) > head and self.token_end is not None and tokens[-1] == self.token_end
        inner = list(tokens[head : len(tokens) - tail])
        ids, spans = self._cut_one(text)
        own = [
            self._token(i, text, span) for i, span in zip(ids[: len(inner)], spans, strict=False)
        ]
        if own != inner:
            place = next(
                (i for i, pair in enumerate(zip(own, inner, strict=False)) if pair[0] != pair[1]),
                None,
            )
            found = (
                f"token {inner[place]!r} stands for {own[place]!r}"
                if place is not None
                else (f"the text has {len(own)} tokens, {len(inner)} were given")
            )
            raise ValueError(f"These tokens are not tokenize(text) of this tokenizer: {found}.")
        characters = [list(range(start, end)) for start, end in spans[: len(inner)]]
        return [[]] * head + characters + [[]] * tail

    def decode(self, ids: Iterable[int], tokens: Sequence[str] | None = None) -> str:
        """Readable text of ids; special and unused tokens are left out.

        Args:
            ids: token ids.
            tokens: use these tokens instead, e.g. from `tokenize`, which keeps unknown words.
        """
        tokens = self.ids_to_tokens(ids) if tokens is None else tokens
        special = {self.token_pad, self.token_unk, self.token_mask, self.token_start}
        special.add(self.token_end)
        return detokenize(
            self._translate_back.get(token, token)
            for token in tokens
            if token not in special and not re.fullmatch(r"\[unused\d+\]", token)
        )

    def _part_ids(self, part: str | Sequence[str]) -> list[int]:
        if isinstance(part, str):
            ids = self._cut([part], offsets=False)[0][0]
            return self._framed(ids, self._start_id, self._end_id)
        if not isinstance(part, (list, tuple)) or not all(isinstance(t, str) for t in part):
            raise TypeError(f"A text must be str or a list of tokens, got {type(part).__name__}.")
        return self.tokens_to_ids(part)

    def _framed_batch(self, texts: list[str], offsets: bool) -> tuple[list, list]:
        cut = self._cut(texts, offsets)
        ids = [self._framed(ids, self._start_id, self._end_id) for ids, _ in cut]
        return ids, [self._framed(spans, (0, 0), (0, 0)) for _, spans in cut] if offsets else []

    @property
    def _start_id(self) -> int | None:
        return None if self.token_start is None else self.vocab[self.token_start]

    @property
    def _end_id(self) -> int | None:
        return None if self.token_end is None else self.vocab[self.token_end]

    def _cut_one(self, text: str) -> tuple[list[int], list[Span]]:
        """As `_cut`; remembers the last text, since tokenize is usually followed by rematch."""
        if self._last[0] != text or not isinstance(text, str):
            self._last = text, self._cut(check_texts([text]), offsets=True)[0]
        return self._last[1]

    def _cut(self, texts: list[str], offsets: bool) -> list[tuple[list[int], list[Span]]]:
        """(ids, offsets) of each text, without special tokens; offsets empty unless asked for."""
        if self._pre_tokenize is not None:
            cut = self._cut_by_words(texts)
        else:
            cut = self._cut_by_rust(texts, offsets or bool(self._translate))
        if self._translate:
            for text, (ids, spans) in zip(texts, cut, strict=True):
                for k, i in enumerate(ids):
                    token = self._token(i, text, spans[k])
                    if token in self._translate:
                        ids[k] = self.vocab[self._translate[token]]
        return cut

    def _cut_by_rust(self, texts: list[str], offsets: bool) -> list[tuple[list[int], list[Span]]]:
        # Printable ASCII needs no cleaning but lower-casing, and Rust is half as fast again
        # without it.
        plain = [text.isascii() and text.isprintable() for text in texts]
        ready = [
            # Rust strings have no lone surrogates. U+FFFD is dropped just as control characters
            # are, and stands for one character, so that offsets hold.
            _SURROGATE.sub("\ufffd", text)
            if not easy
            else (text.lower() if self.do_lower_case else text)
            for text, easy in zip(texts, plain, strict=True)
        ]
        cut: list = [None] * len(texts)
        for rust_tokenizer, kind in ((self._rust_plain, True), (self._rust, False)):
            places = [i for i, easy in enumerate(plain) if easy is kind]
            if len(places) == 1:
                encodings = [rust_tokenizer.encode(ready[places[0]], add_special_tokens=False)]
            else:
                batch = rust_tokenizer.encode_batch if offsets else rust_tokenizer.encode_batch_fast
                encodings = batch([ready[i] for i in places], add_special_tokens=False)
            for i, encoding in zip(places, encodings, strict=True):
                cut[i] = encoding.ids, encoding.offsets if offsets else []
        return cut

    def _cut_by_words(self, texts: list[str]) -> list[tuple[list[int], list[Span]]]:
        """The words of `pre_tokenize` that are in the vocabulary, and the pieces of the rest."""
        words = [(n, *place) for n, text in enumerate(texts) for place in self._words(text)]
        known = [self.vocab.get(self._normalize(texts[n][a:b])) for n, a, b in words]
        rest = [texts[n][a:b] for (n, a, b), i in zip(words, known, strict=True) if i is None]
        pieces = iter(self._cut_by_rust(rest, offsets=True))
        cut: list[tuple[list[int], list[Span]]] = [([], []) for _ in texts]
        for (n, start, end), i in zip(words, known, strict=True):
            ids, spans = ([i], [(0, end - start)]) if i is not None else next(pieces)
            cut[n][0].extend(ids)
            cut[n][1].extend((start + a, start + b) for a, b in spans)
        return cut

    def _words(self, text: str) -> list[Span]:
        places, position = [], 0
        for word in self._pre_tokenize(text):
            start = text.find(word, position)
            if start < 0 or text[position:start].strip():
                raise ValueError(
                    f"pre_tokenize returned {word!r}, which does not follow at character "
                    f"{position} of its text; it must return consecutive words of the text."
                )
            position = start + len(word)
            places.append((start, position))
        if text[position:].strip():
            raise ValueError(f"pre_tokenize left out the end of its text from {position} on.")
        return places

    def _normalize(self, word: str) -> str:
        return lowercase_and_normalize(word) if self.do_lower_case else word

    def _token(self, i: int, text: str, span: Span) -> str:
        if i != self._unk_id:
            return self._tokens[i]
        # Cleaned in the same way as the text was, an unknown word stays an unknown one.
        surface = _SURROGATE.sub("\ufffd", text[span[0] : span[1]])
        surface = self._rust.normalizer.normalize_str(surface).strip()
        return self.token_unk if not surface or surface in self.vocab else surface


@contextlib.contextmanager
def _paused_gc() -> Iterator[None]:
    """No search for cycles while millions of small lists are made: it takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _as_vocab(token_dict) -> Mapping[str, int]:
    if isinstance(token_dict, (str, os.PathLike)):
        return load_vocab(token_dict)
    if isinstance(token_dict, Mapping):
        return token_dict
    if isinstance(token_dict, Sequence):
        if len(set(token_dict)) != len(token_dict):
            raise ValueError("The list of tokens has the same token twice.")
        return {token: i for i, token in enumerate(token_dict)}
    raise TypeError(
        f"token_dict must be a path, a dict or a list of tokens, not {type(token_dict).__name__}."
    )

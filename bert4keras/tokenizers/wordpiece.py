"""BERT's WordPiece tokenizer, based on the Rust `tokenizers` library."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import tokenizers as rust

from ..data.text import lowercase_and_normalize
from .added import AddedToken, number_added
from .base import TokenizerBase
from .core import Encoding
from .detokenize import detokenize
from .errors import TokenizerError
from .rust_pipeline import RustPipeline, encode_all
from .saving import dump
from .spans import tidy_spans, without_surrogates
from .vocabulary import check_keep_tokens, fits_on_line, parse_vocab, read_vocab_lines

_WORDPIECE_PREFIX = "##"
_MAX_WORD = 10_000  # characters; the time of WordPiece is quadratic in the length of a word


class Tokenizer(TokenizerBase):
    """WordPiece tokenizer of BERT and its relatives.

    Control characters are removed from the text, each Chinese character and punctuation mark
    becomes a separate word, and accents are stripped if it is lower-cased. Each word is split
    greedily into the longest pieces that the vocabulary has. `decode` restores usual blanks.

    Args:
        token_dict: vocabulary file, dict token -> id, or list of tokens in the order of ids.
        do_lower_case: lower-case and strip accents, as uncased models need.
        word_maxlen: a longer word is one unknown token. 100 as in Hugging Face's tokenizers;
            Google's script and older code have 200.
        strip_accents: by default the same as do_lower_case.
        split_cjk: True: every Chinese character is a separate word.
        keep_tokens: ids of the tokens to keep; their order gives the new ids.
        added_tokens: tokens that are found in a text as they are, before it is split into words:
            strings, or dicts with the keys of `AddedToken`. If the vocabulary lacks one and it
            has no id, it gets the next id; the embedding must have a row for it.
        prefix: prefix of the pieces inside a word.
        pipeline: "normalizer" and "pre_tokenizer" of a tokenizer.json, which replace BERT's;
            do_lower_case, strip_accents and split_cjk are settings of BERT's normalizer.
        options: special tokens, `pre_tokenize`, `token_translate`; see `TokenizerBase`.

    References: Devlin et al., BERT (arXiv:1810.04805); google-research/bert, tokenization.py.
    """

    _pipeline: RustPipeline
    _is_bert: bool
    _rust: rust.Tokenizer
    do_lower_case: bool

    def __init__(
        self,
        token_dict: str | os.PathLike | Mapping[str, int] | Sequence[str],
        do_lower_case: bool = False,
        word_maxlen: int = 100,
        strip_accents: bool | None = None,
        split_cjk: bool = True,
        keep_tokens: Sequence[int] | None = None,
        added_tokens: Sequence[str | Mapping[str, Any] | AddedToken] = (),
        prefix: str = _WORDPIECE_PREFIX,
        pipeline: Mapping[str, Any] | None = None,
        **options,
    ):
        model_vocab = _as_vocab(token_dict)
        vocab, added = number_added(model_vocab, map(AddedToken.make, added_tokens))
        if keep_tokens is not None:
            tokens = {i: token for token, i in vocab.items()}
            vocab = {tokens[i]: n for n, i in enumerate(check_keep_tokens(keep_tokens, tokens))}
            added = [
                AddedToken(t.content, vocab[t.content], **t.flags)
                for t in added
                if t.content in vocab
            ]
            model_vocab = {token: i for token, i in vocab.items() if token in model_vocab}
        super().__init__(vocab, **options)
        self._word_maxlen = word_maxlen
        if not isinstance(word_maxlen, Integral) or not 1 <= word_maxlen <= _MAX_WORD:
            raise TokenizerError(
                f"word_maxlen must be a number from 1 to {_MAX_WORD}, not {word_maxlen!r}."
            )
        self._inner_prefix = prefix
        self._find_added(added)
        normalizer = {"type": "BertNormalizer", "clean_text": True, "lowercase": do_lower_case}
        normalizer |= {"handle_chinese_chars": split_cjk, "strip_accents": strip_accents}
        model = {"type": "WordPiece", "unk_token": self.token_unk or "", "vocab": model_vocab}
        model |= {"continuing_subword_prefix": prefix, "max_input_chars_per_word": word_maxlen}
        content = {
            "version": "1.0",
            "added_tokens": [token.as_json() for token in added],
            "normalizer": normalizer,
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "decoder": {"type": "WordPiece", "prefix": prefix, "cleanup": True},
            "model": model,
            **(pipeline or {}),
        }
        self._pipeline = RustPipeline(content, self.vocab, self._special)
        self._is_bert = not pipeline
        self._rust = self._pipeline.tokenizer
        self._rust_plain: rust.Tokenizer | None = None
        if self._is_bert and not self._added:  # a faster path for texts that need no cleaning
            self._rust_plain = rust.Tokenizer(self._rust.model)
            self._rust_plain.pre_tokenizer = rust.pre_tokenizers.BertPreTokenizer()
        self.do_lower_case = do_lower_case if self._is_bert else self._surface("A") == "a"

    def _tokenize_texts(
        self, texts: list[str], offsets: bool, special: bool = False
    ) -> list[Encoding]:
        if special or self._rust_plain is None:
            encodings = self._pipeline.encode(texts, offsets, special)
            if not offsets:
                return encodings
            pairs = zip(texts, encodings, strict=True)
            return [(ids, tidy_spans(text, ids, spans, None)) for text, (ids, spans) in pairs]
        # Printable ASCII needs only lower-casing; without the normalizer, Rust is 1.5 times as
        # fast.
        plain = [text.isascii() and text.isprintable() for text in texts]
        ready = [
            # U+FFFD, which replaces a lone surrogate, is removed as control characters are.
            without_surrogates(text) if not easy else (text.lower() if self.do_lower_case else text)
            for text, easy in zip(texts, plain, strict=True)
        ]
        results: list[Any] = [None] * len(texts)
        for rust_tokenizer, kind in ((self._rust_plain, True), (self._rust, False)):
            places = [i for i, easy in enumerate(plain) if easy is kind]
            found = encode_all(rust_tokenizer, [ready[i] for i in places], offsets)
            for i, encoding in zip(places, found, strict=True):
                results[i] = encoding.ids, encoding.offsets if offsets else []
        return results

    def _word_id(self, word: str) -> int | None:
        if not self._is_bert:
            word = self._surface(word)
        elif self.do_lower_case:
            word = lowercase_and_normalize(word)
        return None if word in self._special else self.vocab.get(word)

    def _surface(self, text: str) -> str:
        return self._pipeline.normalize(without_surrogates(text)).strip()

    def _tried_pieces(self, text: str) -> set[int]:
        """Return ids of all pieces of the unknown words of a text.

        Such a word stays unknown in a smaller vocabulary if the pieces that were tried are in it:
        without one of them, shorter pieces might fit.
        """
        tried = set()
        for i, (start, end) in zip(*self._tokenize_one(text), strict=True):
            word = self._surface(text[start:end]) if i == self._unk_id else ""
            size = len(word) if len(word) <= self._word_maxlen else 0
            for a, b in itertools.combinations(range(size + 1), 2):
                piece = word[a:b] if a == 0 else self._inner_prefix + word[a:b]
                tried.add(self.vocab.get(piece, self._unk_id))
        return tried

    def _describe(self) -> tuple[dict[str, bytes], dict[str, Any]]:
        content = self._pipeline.describe(self)
        config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
        if self._is_bert:
            normalizer = content["normalizer"]
            config = {
                "tokenizer_class": "BertTokenizer",
                "do_lower_case": normalizer["lowercase"],
                "strip_accents": normalizer["strip_accents"],
                "tokenize_chinese_chars": normalizer["handle_chinese_chars"],
                "wordpieces_prefix": self._inner_prefix,
            }
        files = {"tokenizer.json": dump(content)}
        tokens = sorted(self.vocab, key=self.vocab.__getitem__)
        numbered = [self.vocab[token] for token in tokens] == list(range(len(tokens)))
        if self._is_bert and numbered and all(map(fits_on_line, tokens)):
            files["vocab.txt"] = "".join(f"{token}\n" for token in tokens).encode("utf-8")
        return files, config

    def _join(self, tokens: list[str]) -> str:
        if self._inner_prefix != _WORDPIECE_PREFIX:
            tokens = [
                _WORDPIECE_PREFIX + token[len(self._inner_prefix) :]
                if token.startswith(self._inner_prefix)
                else token
                for token in tokens
            ]
        return detokenize(tokens)


def _as_vocab(
    token_dict: str | os.PathLike | Mapping[str, int] | Sequence[str],
) -> dict[str, int]:
    """Return the vocabulary of a file, a dict or a list of tokens."""
    if isinstance(token_dict, (str, os.PathLike)):
        return parse_vocab(read_vocab_lines(Path(token_dict)), token_dict)
    if isinstance(token_dict, Sequence):
        if len(set(token_dict)) != len(token_dict):
            raise TokenizerError("The list of tokens has the same token twice.")
        token_dict = {token: i for i, token in enumerate(token_dict)}
    if not isinstance(token_dict, Mapping):
        raise TypeError(
            "token_dict must be a path, a dict or a list of tokens, not "
            f"{type(token_dict).__name__}."
        )
    for token, i in token_dict.items():
        if not isinstance(token, str) or not isinstance(i, Integral) or not 0 <= i < 2**31:
            raise TokenizerError(
                f"A vocabulary maps tokens to ids 0, 1, ..., but this one maps {token!r} to {i!r}."
            )
    return {token: int(i) for token, i in token_dict.items()}

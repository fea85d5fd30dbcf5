"""BERT's WordPiece tokenizer, on the Rust `tokenizers` library, with character offsets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import tokenizers as rust
from bert4keras.data.text import lowercase_and_normalize
from bert4keras.tokenizers.base import TokenizerBase
from bert4keras.tokenizers.detokenize import detokenize
from bert4keras.tokenizers.rust_batch import encode_all
from bert4keras.tokenizers.texts import Span, without_surrogates
from bert4keras.tokenizers.vocabulary import check_keep_tokens, load_vocab


class Tokenizer(TokenizerBase):
    """WordPiece tokenizer of BERT and its relatives.

    Text is cleaned of control characters, Chinese characters and punctuation become words of
    their own, accents are stripped when lower-casing, and each word is cut greedily into the
    longest pieces that the vocabulary has. `decode` puts blanks where a reader expects them.

    Args:
        token_dict: vocabulary file, dict token -> id, or list of tokens in the order of ids.
        do_lower_case: lower-case and strip accents, as uncased models need.
        word_maxlen: a longer word is one unknown token. 100 as in Hugging Face's tokenizers,
            so that the same text gives the same ids; Google's script and older code have 200.
        strip_accents: by default the same as do_lower_case.
        split_cjk: whether every Chinese character is a word of its own.
        keep_tokens: ids of the tokens to keep, numbered anew in this order.
        options: special tokens, `pre_tokenize`, `token_translate`; see `TokenizerBase`.

    References: Devlin et al., BERT (arXiv:1810.04805); google-research/bert, tokenization.py.
    """

    def __init__(
        self,
        token_dict: str | os.PathLike | Mapping[str, int] | Sequence[str],
        do_lower_case: bool = False,
        word_maxlen: int = 100,
        strip_accents: bool | None = None,
        split_cjk: bool = True,
        keep_tokens: Sequence[int] | None = None,
        **options,
    ):
        vocab = _as_vocab(token_dict)
        if keep_tokens is not None:
            tokens = {i: token for token, i in vocab.items()}
            vocab = {tokens[i]: n for n, i in enumerate(check_keep_tokens(keep_tokens, tokens))}
        super().__init__(vocab, **options)
        self.do_lower_case = do_lower_case
        normalizer = rust.normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=split_cjk,
            strip_accents=strip_accents,
            lowercase=do_lower_case,
        )
        self._rust = self._build(word_maxlen, normalizer)
        self._rust_plain = self._build(word_maxlen, None)  # for texts that need no cleaning

    def _build(self, word_maxlen: int, normalizer) -> rust.Tokenizer:
        model = rust.models.WordPiece(
            self.vocab, unk_token=self.token_unk, max_input_chars_per_word=word_maxlen
        )
        built = rust.Tokenizer(model)
        if normalizer is not None:
            built.normalizer = normalizer
        built.pre_tokenizer = rust.pre_tokenizers.BertPreTokenizer()
        return built

    def _cut_texts(self, texts: list[str], offsets: bool) -> list[tuple[list[int], list[Span]]]:
        # Printable ASCII needs no cleaning but lower-casing, and Rust is half as fast again
        # without it.
        plain = [text.isascii() and text.isprintable() for text in texts]
        ready = [
            # U+FFFD in the place of a lone surrogate is dropped just as control characters are.
            without_surrogates(text) if not easy else (text.lower() if self.do_lower_case else text)
            for text, easy in zip(texts, plain, strict=True)
        ]
        cut: list = [None] * len(texts)
        for rust_tokenizer, kind in ((self._rust_plain, True), (self._rust, False)):
            places = [i for i, easy in enumerate(plain) if easy is kind]
            encodings = encode_all(rust_tokenizer, [ready[i] for i in places], offsets)
            for i, encoding in zip(places, encodings, strict=True):
                cut[i] = encoding.ids, encoding.offsets if offsets else []
        return cut

    def _word_id(self, word: str) -> int | None:
        return self.vocab.get(lowercase_and_normalize(word) if self.do_lower_case else word)

    def _surface(self, text: str) -> str:
        return self._rust.normalizer.normalize_str(without_surrogates(text)).strip()

    def _join(self, tokens: list[str]) -> str:
        return detokenize(tokens)


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

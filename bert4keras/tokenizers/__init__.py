"""Tokenizers with character offsets: WordPiece, byte-level BPE, Unigram, SentencePiece."""

from __future__ import annotations

from bert4keras._absent import absent
from bert4keras.tokenizers.added import AddedToken
from bert4keras.tokenizers.base import TokenizerBase
from bert4keras.tokenizers.errors import (
    TokenizerError,
    TokenizerFilesWarning,
    TokenizerNotFoundError,
    TruncationWarning,
    UnknownTokensWarning,
)
from bert4keras.tokenizers.sentencepiece import SpTokenizer
from bert4keras.tokenizers.subword import SubwordTokenizer
from bert4keras.tokenizers.vocabulary import load_vocab, save_vocab
from bert4keras.tokenizers.wordpiece import Tokenizer

__all__ = [
    "AddedToken",
    "SpTokenizer",
    "SubwordTokenizer",
    "Tokenizer",
    "TokenizerBase",
    "TokenizerError",
    "TokenizerFilesWarning",
    "TokenizerNotFoundError",
    "TruncationWarning",
    "UnknownTokensWarning",
    "load_vocab",
    "save_vocab",
]
__getattr__ = absent(__name__)

"""Tokenizers with character offsets: WordPiece, byte-level BPE, Unigram, SentencePiece."""

from __future__ import annotations

from .._absent import absent
from .added import AddedToken
from .base import TokenizerBase
from .defaults import TokenizerDefaults
from .errors import (
    TokenizerError,
    TokenizerFilesWarning,
    TokenizerNotFoundError,
    TruncationWarning,
    UnknownTokensWarning,
)
from .sentencepiece import SpTokenizer
from .subword import SubwordTokenizer
from .vocabulary import load_vocab, save_vocab
from .wordpiece import Tokenizer

__all__ = [
    "AddedToken",
    "SpTokenizer",
    "SubwordTokenizer",
    "Tokenizer",
    "TokenizerBase",
    "TokenizerDefaults",
    "TokenizerError",
    "TokenizerFilesWarning",
    "TokenizerNotFoundError",
    "TruncationWarning",
    "UnknownTokensWarning",
    "load_vocab",
    "save_vocab",
]
__getattr__ = absent(__name__)

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
from .pruning import prune_tokenizer, select_vocabulary, used_tokens
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
    "prune_tokenizer",
    "save_vocab",
    "select_vocabulary",
    "used_tokens",
]
__getattr__ = absent(__name__)

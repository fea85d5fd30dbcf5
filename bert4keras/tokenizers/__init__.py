"""Tokenizers: WordPiece with character offsets, and vocabulary surgery."""

from __future__ import annotations

from bert4keras.tokenizers.vocabulary import load_vocab, save_vocab
from bert4keras.tokenizers.wordpiece import Tokenizer

__all__ = ["Tokenizer", "load_vocab", "save_vocab"]

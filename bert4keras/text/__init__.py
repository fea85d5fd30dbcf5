"""Discovery of words and terms in raw text, with numpy only. Needs no model code."""

from __future__ import annotations

from .new_words import find_words
from .terms import Term, find_terms
from .word_list import Word, WordList
from .word_vectors import WordVectors

__all__ = ["Term", "Word", "WordList", "WordVectors", "find_terms", "find_words"]

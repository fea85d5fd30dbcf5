"""Parsing without a treebank: trees from the syntax distances of ON-LSTM."""

from __future__ import annotations

from .answers import Bracketing, Parse, tree_of_words
from .language_model import on_lstm_language_model, recurrent_language_model
from .metrics import unlabelled_scores
from .readers import read_treebank, word_constituents
from .task import SentenceParser
from .trees import bracketed, build_tree, drawn

__all__ = [
    "Bracketing",
    "Parse",
    "SentenceParser",
    "bracketed",
    "build_tree",
    "drawn",
    "on_lstm_language_model",
    "read_treebank",
    "recurrent_language_model",
    "tree_of_words",
    "unlabelled_scores",
    "word_constituents",
]

"""How good generated text is: ROUGE, BLEU, exact match, perplexity. Needs no model code."""

from __future__ import annotations

from .bleu import bleu, sentence_bleu
from .perplexity import perplexity, perplexity_of_losses
from .rouge import RougeScore, rouge, rouge_l, rouge_n
from .streaming import Perplexity
from .words import exact_match, words

__all__ = [
    "Perplexity",
    "RougeScore",
    "bleu",
    "exact_match",
    "perplexity",
    "perplexity_of_losses",
    "rouge",
    "rouge_l",
    "rouge_n",
    "sentence_bleu",
    "words",
]

"""Text that a model writes, and how good it is."""

from __future__ import annotations

from .answers import Generation, TextStream
from .bleu import bleu, sentence_bleu
from .metrics import generation_scores
from .perplexity import perplexity
from .prompts import Prompt
from .readers import TextPair, read_text_pairs, read_texts
from .rouge import RougeScore, rouge, rouge_l, rouge_n
from .streaming import Perplexity
from .task import Generator

__all__ = [
    "Generation",
    "Generator",
    "Perplexity",
    "Prompt",
    "RougeScore",
    "TextPair",
    "TextStream",
    "bleu",
    "generation_scores",
    "perplexity",
    "read_text_pairs",
    "read_texts",
    "rouge",
    "rouge_l",
    "rouge_n",
    "sentence_bleu",
]

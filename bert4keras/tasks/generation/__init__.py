"""Text that a model writes, and how good it is."""

from __future__ import annotations

from .bleu import (
    bleu,
    sentence_bleu,
)
from .perplexity import (
    perplexity,
    perplexity_of_losses,
)
from .rouge import (
    RougeScore,
    rouge,
    rouge_l,
    rouge_n,
)
from .streaming import (
    Perplexity,
)

__all__ = [
    "Perplexity",
    "RougeScore",
    "bleu",
    "perplexity",
    "perplexity_of_losses",
    "rouge",
    "rouge_l",
    "rouge_n",
    "sentence_bleu",
]
